//! The files of the test vectors: well formed, well named, enough of them.

use serde_json::Value;

use crate::clauses::{stem, vector_clauses};
use crate::tree::Tree;

/// Fewest vectors of a folder.
const FEWEST: [(&str, usize); 2] = [("reject", 80), ("trace", 20)];

/// Every check of vectors.
pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    for (file, text) in tree.vectors() {
        if let Err(mistake) = well_formed(stem(file), text) {
            findings.push(format!("{file}: {mistake}"));
        }
    }
    for (folder, fewest) in FEWEST {
        let prefix = format!("spec/vectors/{folder}/");
        let count = tree.vectors().filter(|(file, _)| file.starts_with(&prefix)).count();
        if count < fewest {
            findings.push(format!("{prefix} holds {count} vectors, fewer than {fewest}"));
        }
    }
}

fn well_formed(stem: &str, text: &str) -> Result<(), String> {
    let vector: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if vector["name"].as_str() != Some(stem) {
        return Err(format!("`name` is not {stem}"));
    }
    if vector["clauses"].as_array().is_none_or(Vec::is_empty) {
        return Err("`clauses` is empty".to_owned());
    }
    let begins = |id: &String| {
        let (id, stem) = (id.to_ascii_lowercase(), stem.to_ascii_lowercase());
        let rest = stem.strip_prefix(&id);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    if !vector_clauses(text).iter().any(begins) {
        return Err("the name of the file begins with none of its clauses".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_named_after_a_clause_of_theirs() {
        let vector = |name: &str| format!(r#"{{"name": "{name}", "clauses": ["MBX-1"]}}"#);
        well_formed("mbx-1-full", &vector("mbx-1-full")).unwrap();
        well_formed("MBX-1", &vector("MBX-1")).unwrap();
        well_formed("mbx-10-full", &vector("mbx-10-full")).unwrap_err();
        well_formed("mbx-1-full", &vector("mbx-1-empty")).unwrap_err();
        well_formed("mbx-1", r#"{"name": "mbx-1", "clauses": []}"#).unwrap_err();
        well_formed("mbx-1", "{").unwrap_err();
    }

    #[test]
    fn too_few_vectors_are_found() {
        let mut findings = Vec::new();
        check(&Tree::of(&[]), &mut findings);
        assert_eq!(findings[0], "spec/vectors/reject/ holds 0 vectors, fewer than 80");
        assert_eq!(findings.len(), 2);
    }
}
