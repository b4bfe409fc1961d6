//! The names of violations: what an implementation may say when it sees one.

/// Clauses and the violation that each leads to, as `spec/lanes.md` lists them; those that have the
/// violation of another clause stand beside it.
const VIOLATIONS: [(&str, &str, &str); 20] = [
    ("MBX-7", "MBX-7", "republished"),
    ("MBX-8", "MBX-8", "released_free"),
    ("MBX-5", "MBX-5", "answer_flags"),
    ("ARN-4", "ARN-4", "freed_dead"),
    ("ARN-2", "ARN-2", "arena_alignment"),
    ("ARN-3", "ARN-3", "arena_bounds"),
    ("PAY-1", "PAY-1", "unassigned_tag"),
    ("PAY-3", "PAY-3", "local_tag"),
    ("PAY-4", "PAY-4", "inline_length"),
    ("PAY-5", "PAY-5", "payload_length"),
    ("LANE-2", "LANE-2", "unknown_call"),
    ("LANE-3", "LANE-3", "state"),
    ("LANE-39", "LANE-39", "withdrawn"),
    ("LANE-4", "LANE-4", "epoch_mismatch"),
    ("SEG-9", "SEG-9", "features"),
    ("LANE-11", "LANE-11", "features_changed"),
    ("LANE-9", "LANE-9", "not_locked"),
    ("LANE-17", "LANE-17", "abort_signal"),
    ("LANE-25", "LANE-25", "control_channel"),
    ("LANE-28", "LANE-25", "control_channel"),
];

/// Whether `text` names the violation that breaking `clause` is: its clause or its name, as a word.
#[must_use]
pub fn is_named(text: &str, clause: &str) -> bool {
    VIOLATIONS
        .iter()
        .filter(|(broken, ..)| *broken == clause)
        .any(|(_, id, name)| has_word(text, id) || has_word(text, name))
}

/// Whether `text` names any violation.
#[must_use]
pub fn names_any(text: &str) -> bool {
    VIOLATIONS.iter().any(|(_, id, _)| has_word(text, id))
}

fn has_word(text: &str, word: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    words.into_iter().any(|found| found == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_named_by_its_clause_or_its_name_as_a_word() {
        for (clause, id, name) in VIOLATIONS {
            assert!(is_named(&format!("{id}: slots 0x1"), clause));
            assert!(is_named(&format!("the violation `{name}`"), clause));
            assert!(!is_named(&format!("{id}x, {name}_x"), clause));
            assert!(names_any(&format!("({id})")) && !names_any("the state of things"));
        }
        let [(one, ..), (_, other, _), ..] = VIOLATIONS;
        assert!(!is_named(other, one));
    }
}
