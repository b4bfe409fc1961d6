//! Arenas.

use super::{Access, Checked, Direction, Op, Place, bits, wrong};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;

const DESCRIPTION: &str = include_str!("../../../spec/generated/knit_layout.json");

/// What the two ends of an arena have stored and know.
#[derive(Default)]
struct Arena {
    allocate: u32,
    free: u32,
    /// The free word, as the sender loaded it last.
    seen_free: u32,
    /// The bytes of each block that was ever live.
    blocks: BTreeMap<usize, Range<usize>>,
    /// What was written since the last block became live.
    written: Option<Range<usize>>,
    publish: u32,
    /// Words of each header line.
    lines: BTreeMap<(usize, String), u32>,
}

/// A block is written while nobody can have it, becomes live before a message names it, and is read
/// while it is live; live blocks do not overlap. ARN-1, ARN-2, ARN-4, ARN-5, ARN-6, ARN-7, ARN-8.
pub fn blocks(trace: &[Access]) -> Checked {
    Direction::BOTH.into_iter().try_for_each(|direction| blocks_of(direction, trace))
}

fn blocks_of(direction: Direction, trace: &[Access]) -> Checked {
    let mut arena = Arena::default();
    for (at, access) in trace.iter().enumerate() {
        match &access.place {
            Place::Arena(of, start) if *of == direction => {
                let bytes = *start..start + access.bytes.len();
                if access.op == Op::Write {
                    arena.write(at, access, bytes)
                } else {
                    arena.read(at, access, &bytes)
                }?;
            }
            Place::Line(of, slot, word) if *of == direction && access.op == Op::Store => {
                arena.lines.insert((*slot, word.clone()), access.value);
            }
            Place::Sector(of, word) if *of == direction => match (access.op, word.as_str()) {
                (Op::Store, "allocate") => arena.allocate(at, access)?,
                (Op::Store, "publish") => arena.publish(at, access)?,
                (Op::Store, "free") => arena.free(at, access)?,
                (Op::Load, "free") => arena.seen_free = access.value,
                _ => {}
            },
            _ => {}
        }
    }
    Ok(())
}

impl Arena {
    /// Where these blocks stand.
    fn of(&self, blocks: u32) -> impl Iterator<Item = &Range<usize>> {
        bits(blocks).filter_map(|block| self.blocks.get(&block))
    }

    fn write(&mut self, at: usize, access: &Access, bytes: Range<usize>) -> Checked {
        let live = self.allocate ^ self.seen_free;
        // A block is as long as what was written into it, rounded up to 64 bytes.
        if self.of(live).any(|block| block.start < bytes.end && bytes.start < block.end) {
            return wrong(
                at,
                access,
                "a block that the sender does not know to be free stands there",
            );
        }
        let written = self.written.get_or_insert(bytes.clone());
        *written = written.start.min(bytes.start)..written.end.max(bytes.end);
        Ok(())
    }

    fn allocate(&mut self, at: usize, access: &Access) -> Checked {
        let flipped = access.value ^ self.allocate;
        if flipped.count_ones() != 1 || flipped & (self.allocate ^ self.seen_free) != 0 {
            return wrong(at, access, "it makes no single block live that was not");
        }
        let Some(written) = self.written.take().filter(|written| written.start % 64 == 0) else {
            return wrong(at, access, "nothing is written at a multiple of 64 before it");
        };
        self.blocks.extend(
            bits(flipped).map(|block| (block, written.start..written.end.next_multiple_of(64))),
        );
        self.allocate = access.value;
        Ok(())
    }

    fn publish(&mut self, at: usize, access: &Access) -> Checked {
        for slot in bits(access.value ^ self.publish) {
            let word = |name: &str| self.lines.get(&(slot, name.to_owned())).copied().unwrap_or(0);
            if !takes_block(word("tag")) {
                continue;
            }
            let block = word("block") as usize & 31;
            let starts = self.blocks.get(&block).map(|bytes| bytes.start);
            if bits(self.allocate ^ self.free).all(|live| live != block)
                || starts != Some(word("start") as usize)
            {
                return wrong(at, access, "the block is not live");
            }
        }
        self.publish = access.value;
        Ok(())
    }

    fn read(&self, at: usize, access: &Access, bytes: &Range<usize>) -> Checked {
        let inside = |block: &Range<usize>| block.start <= bytes.start && bytes.end <= block.end;
        if self.of(self.allocate ^ self.free).any(inside) {
            return Ok(());
        }
        wrong(at, access, "no live block stands there")
    }

    fn free(&mut self, at: usize, access: &Access) -> Checked {
        let flipped = access.value ^ self.free;
        if flipped.count_ones() != 1 || flipped & !(self.allocate ^ self.free) != 0 {
            return wrong(at, access, "it frees no single live block");
        }
        self.free = access.value;
        Ok(())
    }
}

/// Whether the form of a tag has a block in word 6.
fn takes_block(tag: u32) -> bool {
    let description: Value = serde_json::from_str(DESCRIPTION).expect("the description is JSON");
    let tags = description["tags"].as_array().expect("tags");
    let form = tags.iter().find(|known| known["value"] == tag).map(|known| &known["form"]);
    form.is_some_and(|form| ["ARENA", "INLINE_HEAD", "ARENA_HEAD"].iter().any(|name| form == name))
}
