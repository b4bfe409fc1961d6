//! Orders, writers, values.

use super::{Access, Checked, Op, Place, number, wrong};
use std::collections::BTreeMap;

/// Words that the parties decide by are stored with release and loaded with acquire ordering. By the
/// allocate word nobody decides (ARN-5); this project stores it like the others.
pub fn orders(trace: &[Access]) -> Checked {
    for (at, access) in trace.iter().enumerate() {
        let decides = match &access.place {
            Place::Sector(..) => true,
            Place::Line(_, _, word) => word == "stamp",
            Place::Header(word) => word == "ready",
            Place::Control(_, word) => word == "state" || word == "bell",
            _ => false,
        };
        let needed = match access.op {
            Op::Load => "acquire",
            Op::Store => "release",
            _ => continue,
        };
        if decides && access.order != needed {
            return wrong(at, access, &format!("{} and not {needed}", access.order));
        }
    }
    Ok(())
}

/// A word has one writer, who does not read it back. MBX-15.
pub fn one_writer(trace: &[Access]) -> Checked {
    for (at, access) in trace.iter().enumerate() {
        let Some(writer) = access.place.writer() else {
            if access.op == Op::Fence {
                continue;
            }
            return wrong(at, access, "nobody writes it");
        };
        if access.stores() && writer != access.who {
            return wrong(at, access, "the other side writes it");
        }
        if access.loads() && writer == access.who {
            return wrong(at, access, "its writer loads it");
        }
    }
    Ok(())
}

/// A load returns what was stored last: the trace is one that can happen.
pub fn loads_see_stores(trace: &[Access]) -> Checked {
    let mut memory = Memory::default();
    for (at, access) in trace.iter().enumerate() {
        match access.op {
            Op::Load if memory.word(&access.name) != access.value => {
                return wrong(at, access, "not what was stored");
            }
            Op::Read if memory.read(&access.name, access.bytes.len())? != access.bytes => {
                return wrong(at, access, "not what was written");
            }
            _ => memory.store(access)?,
        }
    }
    Ok(())
}

/// Memory that was zero, and has seen some stores.
#[derive(Default)]
pub struct Memory {
    words: BTreeMap<String, u32>,
}

impl Memory {
    pub fn store(&mut self, access: &Access) -> Checked {
        match access.op {
            Op::Store => self.put(access.name.clone(), access.value),
            // Up to three bytes after a run may become zero; ours do.
            Op::Write => {
                for (index, bytes) in access.bytes.chunks(4).enumerate() {
                    let mut word = [0; 4];
                    word[..bytes.len()].copy_from_slice(bytes);
                    self.put(part(&access.name, index)?, u32::from_le_bytes(word));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn put(&mut self, name: String, value: u32) {
        if value == 0 {
            self.words.remove(&name);
        } else {
            self.words.insert(name, value);
        }
    }

    fn word(&self, name: &str) -> u32 {
        self.words.get(name).copied().unwrap_or(0)
    }

    fn read(&self, name: &str, len: usize) -> Result<Vec<u8>, String> {
        let words = (0..len.div_ceil(4)).map(|index| Ok(self.word(&part(name, index)?)));
        let words = words.collect::<Result<Vec<_>, String>>()?;
        let mut bytes: Vec<_> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.truncate(len);
        Ok(bytes)
    }

    /// Every word that is not zero.
    pub fn words(&self) -> &BTreeMap<String, u32> {
        &self.words
    }
}

/// The `index`-th word after the one called `name`, of a run of bytes.
fn part(name: &str, index: usize) -> Result<String, String> {
    let (area, byte) = name.rsplit_once('[').ok_or(format!("{name} is no byte"))?;
    let byte = number(byte.trim_end_matches(']'))? as usize + 4 * index;
    Ok(format!("{area}[{byte}]"))
}
