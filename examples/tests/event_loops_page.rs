//! `docs/event-loops.md` shows code that is there.

use std::fs;
use std::path::Path;

#[test]
fn what_the_page_shows_stands_in_the_examples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/event-loops.md")).unwrap();
    let mut shown = 0;
    for part in page.split("<!-- examples/").skip(1) {
        let (file, rest) = part.split_once(" -->").unwrap();
        let rest =
            rest.strip_prefix("\n\n```rust\n").expect("a block of Rust follows a file's name");
        let (block, _) = rest.split_once("\n```").unwrap();
        let source = fs::read_to_string(root.join("examples").join(file)).unwrap();
        let wanted = lines(block);
        assert!(!wanted.is_empty());
        let found = lines(&source).windows(wanted.len()).any(|lines| lines == wanted);
        assert!(found, "examples/{file} does not have:\n{block}");
        shown += 1;
    }
    let blocks = page.matches("```rust").count();
    assert!(shown > 0 && shown == blocks, "{shown} of {blocks} blocks name their file");
}

/// Lines without their indentation.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}
