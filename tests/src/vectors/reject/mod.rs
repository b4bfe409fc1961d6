//! Input that must be refused, with the name of the error and the clause that it breaks.

mod channel;
mod control;
mod header;
mod payload;
mod slot;
mod text;
mod word;

use super::VectorFile;
use super::build::Vector;
use serde_json::Value;

pub(super) fn vectors() -> Vec<VectorFile> {
    [
        header::vectors(),
        slot::vectors(),
        word::vectors(),
        control::vectors(),
        channel::vectors(),
        payload::vectors(),
        text::vectors(),
    ]
    .concat()
}

/// A name of `layout.toml` and its clause, as literals.
#[derive(Clone, Copy)]
struct Fault {
    error: &'static str,
    clause: &'static str,
}

const fn fault(error: &'static str, clause: &'static str) -> Fault {
    Fault { error, clause }
}

impl Fault {
    /// A vector with this verdict, its `input` after it. `also` are clauses that it shows besides.
    fn refuse(self, kind: &str, words: &str, also: &[&str], doc: &str, input: Value) -> VectorFile {
        let clauses = [&[self.clause], also].concat();
        let words = format!("{}-{words}", self.error.replace('_', "-"));
        Vector::new("reject", &words, &clauses, doc)
            .with("kind", kind)
            .with("error", self.error)
            .with("clause", self.clause)
            .with_all(input)
            .file()
    }
}

/// The same vector, which shows another clause besides.
fn also(mut file: VectorFile, clause: &str) -> VectorFile {
    file.json["clauses"].as_array_mut().expect("a list").push(clause.into());
    file
}
