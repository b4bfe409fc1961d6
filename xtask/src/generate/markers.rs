//! Places for tables in a chapter: what stands between `<!-- table: NAME -->` and `<!-- end -->`,
//! each alone in its line.

/// The name in a line that begins a table.
pub(crate) fn begins(line: &str) -> Option<&str> {
    line.trim().strip_prefix("<!-- table: ")?.strip_suffix(" -->")
}

/// Whether a line ends a table.
pub(crate) fn ends(line: &str) -> bool {
    line.trim() == "<!-- end -->"
}

/// `text` with every table replaced by what `table` gives for its name.
///
/// # Errors
///
/// What `table` says, or that an end is missing, with the line.
pub(super) fn replace(
    text: &str,
    table: impl Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut open: Option<(usize, &str)> = None;
    let mut code = false;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let number = index + 1;
        let fence = open.is_none() && line.trim_start().starts_with("```");
        code ^= fence;
        let name = begins(line).filter(|_| !code);
        match (open, name) {
            (Some((begun, name)), Some(_)) => {
                return Err(format!("line {begun}: no end of table `{name}` before line {number}"));
            }
            (Some(_), None) if ends(line) => open = None,
            (Some(_), None) => continue,
            (None, Some(name)) => {
                let table = table(name).map_err(|error| format!("line {number}: {error}"))?;
                result += line;
                // Blank lines make Markdown see a table between two HTML blocks.
                result += &format!("\n{}\n\n", table.trim_end());
                open = Some((number, name));
                continue;
            }
            (None, None) => {}
        }
        result += line;
    }
    match open {
        Some((begun, name)) => Err(format!("line {begun}: no end of table `{name}`")),
        None => Ok(result),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Result<String, String> {
        if name == "none" { Err("no table `none`".into()) } else { Ok(format!("| {name} |\n")) }
    }

    #[test]
    fn tables_are_replaced_in_place() {
        let text = "a\n<!-- table: struct header -->\nold\n<!-- end -->\nb\n";
        let replaced = replace(text, table).unwrap();
        let expected = "a\n<!-- table: struct header -->\n\n| struct header |\n\n<!-- end -->\nb\n";
        assert_eq!(replaced, expected);
        assert_eq!(replace(&replaced, table).unwrap(), expected);
    }

    #[test]
    fn other_comments_and_examples_stay() {
        let text = "<!-- unsafe files -->\nx\n<!-- end -->\n```\n<!-- table: none -->\n```\n";
        assert_eq!(replace(text, table).unwrap(), text);
        let inline = "between `<!-- table: none -->` and `<!-- end -->`\n";
        assert_eq!(replace(inline, table).unwrap(), inline);
    }

    #[test]
    fn unknown_and_unfinished_tables_are_named() {
        let text = "a\n<!-- table: none -->\n<!-- end -->\n";
        assert_eq!(replace(text, table).unwrap_err(), "line 2: no table `none`");
        let open = "<!-- table: x -->\n";
        assert_eq!(replace(open, table).unwrap_err(), "line 1: no end of table `x`");
        let twice = "<!-- table: x -->\n<!-- table: y -->\n<!-- end -->\n";
        let error = "line 1: no end of table `x` before line 2";
        assert_eq!(replace(twice, table).unwrap_err(), error);
    }
}
