//! `knit_layout.json`: the whole layout, for programs.

use serde::Serialize;

use super::NOTE;
use crate::layout::Layout;

#[derive(Serialize)]
struct File<'l> {
    generated: &'static str,
    #[serde(flatten)]
    layout: &'l Layout,
}

/// The text of the file.
pub(super) fn write(layout: &Layout) -> String {
    let file = File { generated: NOTE, layout };
    // Names, numbers and texts only: nothing that JSON cannot express.
    serde_json::to_string_pretty(&file).expect("a layout is JSON") + "\n"
}
