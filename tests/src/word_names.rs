//! Names of the words of a segment, as the traces have them.

use knit_proto::{ARENA_DATA_AT, Layout, Region};
use serde_json::Value;
use std::collections::BTreeMap;

/// The description, as `cargo xtask gen` writes it from `spec/layout.toml`.
const DESCRIPTION: &str = include_str!("../../spec/generated/knit_layout.json");

/// What every word of one segment is called.
///
/// A name is the path of fields in `layout.toml`, such as `header.ready`, with the shorter beginnings
/// of `shorter`. Elements of an array of words have their index, bytes their distance from the
/// start of the area, halves of a 64-bit field `low` and `high`.
#[derive(Clone, Debug)]
pub struct WordNames {
    names: BTreeMap<u32, String>,
}

impl WordNames {
    /// The names of the words of a segment with this layout.
    ///
    /// # Panics
    ///
    /// The description is not one of this layout.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        let description = serde_json::from_str(DESCRIPTION).expect("the description is JSON");
        let mut names = Namer { description, layout, names: BTreeMap::new() };
        names.add("segment", 0, "");
        Self { names: names.names }
    }

    /// The name of the word at byte `at`. A word that the description does not name is
    /// `segment[at]`.
    #[must_use]
    pub fn name(&self, at: u32) -> String {
        self.names.get(&at).cloned().unwrap_or_else(|| format!("segment[{at}]"))
    }

    /// Every name, and where its word stands, in the order of memory.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.names.iter().map(|(at, name)| (*at, name.as_str()))
    }
}

struct Namer<'a> {
    description: Value,
    layout: &'a Layout,
    names: BTreeMap<u32, String>,
}

impl Namer<'_> {
    /// Names what stands at byte `at` and has type `kind`.
    fn add(&mut self, kind: &str, at: u32, name: &str) {
        if let Some((element, count)) = kind.strip_suffix(']').and_then(|kind| kind.split_once('['))
        {
            let count = count.parse().expect("arrays without a count are regions");
            return self.elements(element, count, at, name);
        }
        match kind {
            "u32" => drop(self.names.insert(at, name.to_owned())),
            "u64" => {
                self.names.insert(at, format!("{name}.low"));
                self.names.insert(at + 4, format!("{name}.high"));
            }
            _ => self.fields(kind, at, name),
        }
    }

    fn elements(&mut self, element: &str, count: u32, at: u32, name: &str) {
        let (size, step) = match element {
            "u8" => (1, 4),
            "u32" => (4, 1),
            _ => (self.structure(element)["size"].as_u64().expect("a size"), 1),
        };
        let size = u32::try_from(size).expect("structures are small");
        let element = if element == "u8" { "u32" } else { element };
        for index in (0..count).step_by(step) {
            self.add(element, at + index * size, &format!("{name}[{index}]"));
        }
    }

    fn fields(&mut self, structure: &str, at: u32, name: &str) {
        let fields = self.structure(structure)["fields"].as_array().expect("fields").clone();
        for field in &fields {
            let text = |member: &str| field[member].as_str().expect("a name and a type");
            let name = shorter(structure, name, text("name"));
            match region(text("name")).map(|region| self.layout.region(region)) {
                Some(region) if text("type") == "u32[]" => {
                    self.elements("u32", region.len() / 4, region.at(), &name);
                }
                Some(region) if text("type") == "u8[]" => {
                    self.elements("u8", ARENA_DATA_AT, region.at(), &format!("{name}_unused"));
                    let data = region.at() + ARENA_DATA_AT;
                    self.elements("u8", region.len() - ARENA_DATA_AT, data, &name);
                }
                None if text("name") == "abort_padding" => {
                    let at = self.layout.region(Region::AbortBits).end();
                    let end = self.layout.region(Region::RequestArena).at();
                    self.elements("u8", end - at, at, &name);
                }
                _ => {
                    let place = field["offset"].as_u64().map_or_else(
                        || self.layout.lane_block_at(),
                        |offset| at + u32::try_from(offset).expect("offsets are words"),
                    );
                    self.add(text("type"), place, &name);
                }
            }
        }
    }

    fn structure(&self, name: &str) -> &Value {
        let structures = self.description["structs"].as_array().expect("structures");
        structures.iter().find(|known| known["name"] == name).expect("a type of the description")
    }
}

/// The region of the lane block whose length depends on the geometry.
fn region(field: &str) -> Option<Region> {
    match field {
        "abort_bits" => Some(Region::AbortBits),
        "request_arena" => Some(Region::RequestArena),
        "response_arena" => Some(Region::ResponseArena),
        _ => None,
    }
}

/// The name of a field, without what says nothing: `host_control`, not `extension.host_control`;
/// `request.publish` and `request.slot[3].tag`, not `lane_block.request_sector.publish` and
/// `lane_block.request_slots[3].tag`; `request.arena[64]`.
fn shorter(structure: &str, parent: &str, field: &str) -> String {
    match (structure, field.split_once('_')) {
        ("extension", Some((_, "control"))) | ("segment", _) => field.to_owned(),
        ("lane_block", Some((direction, "sector"))) => direction.to_owned(),
        ("lane_block", Some((direction, "slots"))) => format!("{direction}.slot"),
        ("lane_block", Some((direction, "arena"))) => format!("{direction}.arena"),
        ("lane_block", _) => field.to_owned(),
        _ => format!("{parent}.{field}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header_fields;
    use knit_proto::{Direction, STAMP_AT};
    use std::collections::BTreeSet;

    #[test]
    fn words_have_the_names_of_the_description() {
        let layout = Layout::new(header_fields(0, 33));
        let names = WordNames::new(&layout);
        let (host, worker) = (layout.host_control(), layout.worker_control());
        let request = layout.mailbox(Direction::Request);
        let response = layout.arena(Direction::Response);
        let third = request.slots().at() + 3 * knit_proto::SLOT_STRIDE;
        for (at, name) in [
            (24, "header.segment_bytes.low"),
            (28, "header.segment_bytes.high"),
            (204, "header.split_spans[1]"),
            (252, "header.ready"),
            (256, "header_reserved[0]"),
            (host.state.bytes(), "host_control.state"),
            (worker.bell.bytes(), "worker_control.bell"),
            (host.state.bytes() + 68, "extension.reserved_68[0]"),
            (layout.lane_block_at(), "signals.wake"),
            (request.publish().bytes(), "request.publish"),
            (layout.mailbox(Direction::Response).release().bytes(), "response.release"),
            (response.free().bytes(), "response.free"),
            (third + 4, "request.slot[3].inline[4]"),
            (third + 520, "request.slot[3].tag"),
            (third + STAMP_AT, "request.slot[3].stamp"),
            (layout.region(Region::AbortBits).at() + 4, "abort_bits[1]"),
            (response.data().at() - 64, "response.arena_unused[0]"),
            (response.data().at() + 64, "response.arena[64]"),
            (layout.region(Region::AbortBits).end(), "abort_padding[0]"),
        ] {
            assert_eq!(names.name(at), name, "byte {at}");
        }
    }

    #[test]
    fn no_two_words_share_a_name() {
        let layout = Layout::new(header_fields(0, 33));
        let names = WordNames::new(&layout);
        let different: BTreeSet<_> = names.iter().map(|(_, name)| name).collect();
        assert_eq!(different.len(), names.iter().count());
        assert_eq!(names.iter().last().map(|(at, _)| at), Some(layout.len() - 4));
    }
}
