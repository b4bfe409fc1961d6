//! Mailboxes.

use super::{Access, Checked, Direction, Op, Place, bits, wrong};
use std::collections::{BTreeMap, BTreeSet};

/// What the two ends of a mailbox have stored and know.
#[derive(Default)]
struct Mailbox {
    publish: u32,
    release: u32,
    /// The release word, as the sender loaded it last.
    seen_release: u32,
    /// Slots that the receiver has seen pending and not released.
    seen: u32,
    /// Words stored into each slot since it was published last.
    written: [BTreeSet<String>; 32],
    published: [u32; 32],
    taken: [u32; 32],
}

/// A slot belongs to the sender while it is free and to the receiver while it is pending, as far as
/// either can know. MBX-3, MBX-7, MBX-8, MBX-10, MBX-11, MBX-12, MBX-13, MBX-14, MBX-17.
pub fn hand_over(trace: &[Access]) -> Checked {
    Direction::BOTH.into_iter().try_for_each(|direction| hand_over_of(direction, trace))
}

fn hand_over_of(direction: Direction, trace: &[Access]) -> Checked {
    let mut mailbox = Mailbox::default();
    for (at, access) in trace.iter().enumerate() {
        match &access.place {
            Place::Sector(of, word) if *of == direction => match (access.op, word.as_str()) {
                (Op::Store, "publish") => mailbox.publish(at, access)?,
                (Op::Load, "publish") => mailbox.look(access.value),
                (Op::Store, "release") => mailbox.release(at, access)?,
                (Op::Load, "release") => mailbox.seen_release = access.value,
                _ => {}
            },
            Place::Line(of, slot, word) if *of == direction => match word.as_str() {
                "stamp" if access.op == Op::Load => mailbox.poll(*slot, access.value),
                "stamp" => {}
                "word0" | "call" | "tag" | "start" | "end" | "payload_len" | "block" => {
                    mailbox.touch(at, access, *slot)?;
                }
                _ if access.stores() && access.value != 0 => {
                    return wrong(at, access, "it stays zero");
                }
                _ => {}
            },
            Place::Inline(of, slot) if *of == direction => mailbox.touch(at, access, *slot)?,
            _ => {}
        }
    }
    Ok(())
}

impl Mailbox {
    fn publish(&mut self, at: usize, access: &Access) -> Checked {
        let flipped = access.value ^ self.publish;
        if flipped == 0 || flipped & (self.publish ^ self.seen_release) != 0 {
            return wrong(
                at,
                access,
                "it publishes a slot that the sender does not know to be free",
            );
        }
        for slot in bits(flipped) {
            let header = ["word0", "call", "tag"];
            if !header.iter().all(|word| self.written[slot].contains(*word)) {
                return wrong(at, access, "a header is not written before it");
            }
            self.written[slot].clear();
            self.published[slot] += 1;
        }
        self.publish = access.value;
        Ok(())
    }

    fn look(&mut self, publish: u32) {
        self.see(publish ^ self.release);
    }

    fn poll(&mut self, slot: usize, stamp: u32) {
        if stamp == self.taken[slot].wrapping_add(1) && stamp != 0 {
            self.see(1 << slot);
        }
    }

    fn see(&mut self, pending: u32) {
        for slot in bits(pending & !self.seen) {
            self.taken[slot] += 1;
        }
        self.seen |= pending;
    }

    fn release(&mut self, at: usize, access: &Access) -> Checked {
        let flipped = access.value ^ self.release;
        if flipped == 0 || flipped & !self.seen != 0 {
            return wrong(at, access, "it releases a slot that the receiver did not see pending");
        }
        self.seen &= !flipped;
        self.release = access.value;
        Ok(())
    }

    fn touch(&mut self, at: usize, access: &Access, slot: usize) -> Checked {
        let bit = 1 << slot;
        if access.stores() && (self.publish ^ self.seen_release) & bit != 0 {
            return wrong(at, access, "the sender does not know the slot to be free");
        }
        if access.loads() && self.seen & bit == 0 {
            return wrong(at, access, "the receiver has not seen the slot pending");
        }
        if let (Op::Store, Place::Line(_, _, word)) = (access.op, &access.place) {
            self.written[slot].insert(word.clone());
        }
        Ok(())
    }
}

/// From a publication to its release the receiver loads each header word once. MBX-16.
pub fn header_words_once(trace: &[Access]) -> Checked {
    let mut loaded = BTreeSet::new();
    let mut released = [0; 2];
    for (at, access) in trace.iter().enumerate() {
        match &access.place {
            Place::Line(_, _, word) if word == "stamp" => {}
            Place::Line(direction, slot, word)
                if access.op == Op::Load
                    && !loaded.insert((direction.index(), *slot, word.clone())) =>
            {
                return wrong(at, access, "it is loaded a second time");
            }
            Place::Sector(direction, word) if word == "release" && access.op == Op::Store => {
                let of = direction.index();
                for slot in bits(access.value ^ std::mem::replace(&mut released[of], access.value))
                {
                    loaded.retain(|line| (line.0, line.1) != (of, slot));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A stamp follows the publication that it counts, and is stored once for each. MBX-9.
pub fn stamps(trace: &[Access]) -> Checked {
    let mut publish = [0; 2];
    let mut published = [[0; 32]; 2];
    let mut stamped = [[0; 32]; 2];
    for (at, access) in trace.iter().enumerate().filter(|(_, access)| access.op == Op::Store) {
        match &access.place {
            Place::Sector(direction, word) if word == "publish" => {
                let of = direction.index();
                for slot in bits(access.value ^ std::mem::replace(&mut publish[of], access.value)) {
                    published[of][slot] += 1;
                }
            }
            Place::Line(direction, slot, word) if word == "stamp" => {
                let (of, slot) = (direction.index(), *slot);
                if access.value != published[of][slot] || stamped[of][slot] == access.value {
                    return wrong(at, access, "the slot was not published so often before");
                }
                stamped[of][slot] = access.value;
            }
            _ => {}
        }
    }
    // Who stamps, stamps every publication.
    let forgotten = |of: usize| stamped[of] != [0; 32] && stamped[of] != published[of];
    if forgotten(0) || forgotten(1) {
        return Err(format!("published {published:?}, stamped {stamped:?}"));
    }
    Ok(())
}

/// An answer has the id of a call that is in flight, and ends it. LANE-2, LANE-10.
pub fn calls(trace: &[Access]) -> Checked {
    let mut publish = [0; 2];
    let mut ids = [BTreeMap::new(), BTreeMap::new()];
    let mut in_flight = BTreeSet::new();
    for (at, access) in trace.iter().enumerate().filter(|(_, access)| access.op == Op::Store) {
        match &access.place {
            Place::Line(direction, slot, word) if word == "call" => {
                ids[direction.index()].insert(*slot, access.value);
            }
            Place::Sector(direction, word) if word == "publish" => {
                let of = direction.index();
                for slot in bits(access.value ^ std::mem::replace(&mut publish[of], access.value)) {
                    let id = ids[of].get(&slot).copied();
                    let fine = match (direction, id) {
                        (_, None) => false,
                        (Direction::Request, Some(id)) => in_flight.insert(id),
                        (Direction::Response, Some(id)) => in_flight.remove(&id),
                    };
                    if !fine {
                        return wrong(at, access, "no such call, or it is in flight already");
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}
