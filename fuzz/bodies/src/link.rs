//! The book of one lane's shared buffers, against the other side of its control channel.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use knit_codec::{Encode, Limits, SharedBufferRef};
use knit_lanes::fuzzing::{LinkEnd, number};
use knit_lanes::{GiveError, SharedBuffer};
use knit_proto::{
    CONTROL_MESSAGE_BYTES, CONTROL_MESSAGE_DROP, CONTROL_MESSAGE_GIVE, CONTROL_MESSAGE_VERSION,
    ControlFault, ControlMessage, ProtocolViolation, SLOTS,
};
use knit_tests::vector_files::{File, bytes, word};
use peer::{Paper, Peer};
use std::collections::{BTreeMap, VecDeque};

mod peer;

/// Most steps of one input: each is some system calls.
const MOST_STEPS: usize = 120;
/// Buffers of this side at a time.
const OURS: usize = 4;
/// Packets that wait in the socket at most, so that it never fills up: some three hundred fit.
const WAITING: usize = 30;

/// The limit of buffers, then what this side gives, publishes, drops, takes and reads, and what the other side
/// sends: messages, other packets, descriptors of files of all kinds, until it closes its end.
///
/// A buffer is found under its number exactly from when it was given until all that names it was taken; what
/// no side may send is named by its clause, as the rules of the chapter say, and nothing is read after
/// it. Each buffer of this side goes out once, before it is published, and its end is told with the number of
/// messages that name it. A book never has more than its limit allows.
///
/// # Panics
///
/// It is not so.
pub fn link(bytes: &[u8]) {
    let _ = run(bytes);
}

/// The fault that was named.
fn run(bytes: &[u8]) -> Option<ControlFault> {
    let mut input = Input::new(bytes);
    let mut book = Book::new(u32::from(input.below(4)) + 1);
    input.some_steps(MOST_STEPS, |input| book.step(input));
    book.finish();
    book.fault
}

/// A packet that the link has not read yet.
#[derive(Clone, Debug)]
enum Packet {
    /// A message, or why it is none. With the file of one that gives a buffer.
    Packet(Result<ControlMessage, ControlFault>, Option<Paper>),
    /// Nothing at all, which is how a closed end looks.
    Nothing,
}

/// A buffer that the link has from its peer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    len: u32,
    uses: u32,
    last: Option<u32>,
}

/// What the book has to say, in plain maps.
struct Book {
    link: LinkEnd,
    peer: Peer,
    limit: u32,
    /// Whether the link has read anything since it last said so.
    untold: bool,
    waiting: VecDeque<Packet>,
    held: BTreeMap<u32, Held>,
    closed: bool,
    fault: Option<ControlFault>,
    /// The packet with the fault had descriptors.
    disposed: bool,
    /// Handles that were found, and the length of their memory.
    found: Vec<(SharedBuffer, u32)>,
    ours: Vec<SharedBuffer>,
    /// How often each of this side's buffers that was given has been published.
    given: BTreeMap<u32, u32>,
    /// What the peer has to find in its socket.
    due: VecDeque<(ControlMessage, bool)>,
}

impl Book {
    fn new(limit: u32) -> Self {
        let (link, socket) = LinkEnd::pair(limit).expect("two descriptors");
        Self {
            link,
            peer: Peer::new(socket),
            limit,
            untold: false,
            waiting: VecDeque::new(),
            held: BTreeMap::new(),
            closed: false,
            fault: None,
            disposed: false,
            found: Vec::new(),
            ours: Vec::new(),
            given: BTreeMap::new(),
            due: VecDeque::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(12) {
            0 | 1 => {
                let (number, paper) = (name(input), Paper::of(input.byte()));
                let len = match input.byte() {
                    u8::MAX => input.word(),
                    _ => paper.len(),
                };
                let words = [CONTROL_MESSAGE_VERSION, CONTROL_MESSAGE_GIVE, number, len];
                self.send(&words.map(u32::to_le_bytes).concat(), &[paper]);
            }
            2 => {
                let (number, uses) = (name(input), name(input));
                let words = [CONTROL_MESSAGE_VERSION, CONTROL_MESSAGE_DROP, number, uses];
                self.send(&words.map(u32::to_le_bytes).concat(), &[]);
            }
            3 => {
                let papers: Vec<_> = (0..input.below(4)).map(|_| Paper::of(input.byte())).collect();
                let bytes = input.bytes();
                self.send(&bytes[..bytes.len().min(40)], &papers);
            }
            4 | 5 => self.take(name(input)),
            6 => self.drain(),
            7 => self.give(input.byte().into()),
            8 => self.publish(input.byte().into()),
            9 => self.forget(input.byte().into()),
            10 => drop(self.found.pop()),
            // Rarely: nothing comes after it.
            _ => {
                if input.byte() == u8::MAX {
                    self.peer.close();
                }
                self.read_as_peer();
            }
        }
        self.hold();
    }

    /// The peer sends a packet.
    fn send(&mut self, bytes: &[u8], papers: &[Paper]) {
        if self.waiting.len() >= WAITING || !self.peer.send(bytes, papers) {
            return;
        }
        self.waiting.push_back(if bytes.is_empty() && papers.is_empty() {
            Packet::Nothing
        } else {
            Packet::Packet(parse(bytes, papers.len() as u32), papers.first().copied())
        });
    }

    /// The link reads all that is there.
    fn read(&mut self) -> Result<(), ControlFault> {
        while self.fault.is_none() && !self.closed {
            let Some(packet) = self.waiting.pop_front() else {
                self.closed = self.peer.is_closed();
                break;
            };
            match packet {
                Packet::Nothing => self.closed = true,
                Packet::Packet(message, paper) => {
                    self.untold = true;
                    let entered = message.and_then(|message| self.enter(message, paper));
                    self.fault = entered.err();
                    self.disposed = self.fault.is_some() && paper.is_some();
                }
            }
        }
        self.fault.map_or(Ok(()), Err)
    }

    /// LANE-28, LANE-32, as the chapter says it.
    fn enter(&mut self, message: ControlMessage, paper: Option<Paper>) -> Result<(), ControlFault> {
        let dropped = self.held.values().filter(|held| held.last.is_some()).count();
        match message {
            ControlMessage::Give { number, len } => {
                let paper = paper.expect("one that gives has a descriptor");
                let unfit = Err(ControlFault::File { number });
                if !paper.has_seals() {
                    return unfit;
                }
                if self.held.contains_key(&number) {
                    return Err(ControlFault::Number { number });
                }
                if self.held.len() - dropped >= self.limit as usize {
                    return Err(ControlFault::TooMany { limit: self.limit });
                }
                if !paper.is_good() || paper.len() != len {
                    return unfit;
                }
                self.held.insert(number, Held { len, uses: 0, last: None });
            }
            ControlMessage::Drop { number, uses } => {
                let wrong = Err(ControlFault::Number { number });
                let Some(held) = self.held.get_mut(&number) else { return wrong };
                if held.last.is_some() {
                    return wrong;
                }
                if held.uses == uses {
                    self.held.remove(&number);
                } else if dropped >= SLOTS as usize {
                    return wrong;
                } else {
                    held.last = Some(uses);
                }
            }
        }
        Ok(())
    }

    /// A message that names a buffer is taken from the lane.
    fn take(&mut self, number: u32) {
        let reference = SharedBufferRef::whole(number, 4);
        let payload = reference.encode(&Limits::DEFAULT).expect("eight words").into_owned();
        let expected = match self.held.contains_key(&number) {
            true => Ok(()),
            false => self.read(),
        };
        let found = self.link.resolve(&payload);
        let held = match expected {
            Err(fault) => return assert_eq!(found.map(drop), violation(fault)),
            Ok(()) => self.held.get_mut(&number),
        };
        let found = found.expect("nothing is wrong");
        let Some(held) = held else { return assert!(found.is_none(), "{number} was not given") };
        let found = found.expect("it was given");
        assert_eq!(found.len(), held.len);
        self.found.push((found, held.len));
        held.uses = held.uses.wrapping_add(1);
        if held.last == Some(held.uses) {
            self.held.remove(&number);
        }
    }

    fn drain(&mut self) {
        match self.read() {
            // Also when it was read to find a buffer: the other side may wait for room.
            Ok(()) => assert_eq!(self.link.drain(), Ok(core::mem::take(&mut self.untold))),
            Err(fault) => assert_eq!(self.link.drain().map(drop), violation(fault)),
        }
    }

    /// This side gives one of its buffers.
    fn give(&mut self, which: usize) {
        if which.is_multiple_of(2) && self.ours.len() < OURS {
            // Of another length each time.
            let len = 4 * (self.ours.len() as u32 + 1);
            self.ours.push(SharedBuffer::new(len).expect("a page of memory"));
        }
        self.make_room();
        let Some(buffer) = self.ours.get(which / 2 % OURS) else { return };
        let number = number(buffer);
        let found = self.link.give(buffer);
        if self.given.contains_key(&number) {
            assert_eq!(found, Ok(true));
        } else if self.given.len() >= self.limit as usize {
            assert_eq!(found, Err(GiveError::TooMany { limit: self.limit }));
        } else if self.peer.is_closed() {
            assert_eq!(found, Err(GiveError::Closed));
        } else {
            assert_eq!(found, Ok(true));
            self.given.insert(number, 0);
            let len = buffer.len();
            self.due.push_back((ControlMessage::Give { number, len }, true));
        }
    }

    fn publish(&mut self, which: usize) {
        let Some(buffer) = self.ours.get(which % OURS) else { return };
        self.link.published(buffer);
        if let Some(uses) = self.given.get_mut(&number(buffer)) {
            *uses += 1;
        }
    }

    /// This side has no use for one of its buffers any more.
    fn forget(&mut self, which: usize) {
        if self.ours.is_empty() {
            return;
        }
        self.make_room();
        let buffer = self.ours.remove(which % self.ours.len());
        let number = number(&buffer);
        drop(buffer);
        if let Some(uses) = self.given.remove(&number)
            && !self.peer.is_closed()
        {
            self.due.push_back((ControlMessage::Drop { number, uses }, false));
        }
    }

    fn make_room(&mut self) {
        if self.due.len() >= WAITING {
            self.read_as_peer();
        }
    }

    /// The peer finds what this side has sent: LANE-25, LANE-27, LANE-29.
    fn read_as_peer(&mut self) {
        if self.peer.is_closed() {
            return self.due.clear();
        }
        for (message, file) in self.due.drain(..) {
            let (bytes, files) = self.peer.receive().expect("it was sent");
            assert_eq!(bytes, message.to_bytes());
            assert_eq!(files.len(), usize::from(file), "{message:?}");
            if let (ControlMessage::Give { len, .. }, Some(file)) = (message, files.first()) {
                let stat = rustix::fs::fstat(file).expect("an open file");
                assert_eq!(stat.st_size, i64::from(len));
            }
        }
        assert!(self.peer.receive().is_none(), "nothing else was sent");
    }

    fn hold(&self) {
        assert_eq!(self.link.counts(), (self.given.len(), self.held.len()));
        assert!(self.held.len() <= (self.limit + SLOTS) as usize);
        for (buffer, len) in &self.found {
            assert_eq!(buffer.len(), *len);
        }
    }

    fn finish(&mut self) {
        self.read_as_peer();
        self.drain();
        self.hold();
        if self.disposed {
            peer::until_disposed();
        }
        // What was found outlives its place in the book.
        for (buffer, len) in &self.found {
            let mut last = [0; 1];
            buffer.read(len - 1, &mut last).expect("inside");
            buffer.write(len - 1, &last).expect("inside");
        }
    }
}

fn violation(fault: ControlFault) -> Result<(), ProtocolViolation> {
    Err(ProtocolViolation::ControlChannel { fault })
}

/// A number: mostly one of a few.
fn name(input: &mut Input<'_>) -> u32 {
    match input.byte() {
        u8::MAX => input.word(),
        byte => u32::from(byte % 8),
    }
}

/// What a packet is, in the order of the checks of LANE-25.
fn parse(bytes: &[u8], descriptors: u32) -> Result<ControlMessage, ControlFault> {
    if bytes.len() != CONTROL_MESSAGE_BYTES as usize {
        // The receiver sees that it is longer, not by how much.
        let len = bytes.len().min(CONTROL_MESSAGE_BYTES as usize + 1) as u32;
        return Err(ControlFault::Length { len });
    }
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (version, kind, number, value) = (word(0), word(4), word(8), word(12));
    if version != 1 {
        return Err(ControlFault::Version { found: version });
    }
    let (message, needed) = match kind {
        1 => (ControlMessage::Give { number, len: value }, 1),
        2 => (ControlMessage::Drop { number, uses: value }, 0),
        found => return Err(ControlFault::Kind { found }),
    };
    if descriptors == needed {
        Ok(message)
    } else {
        Err(ControlFault::Descriptors { found: descriptors })
    }
}

/// The packets that the vectors refuse, and histories of the rules that no vector shows.
pub(crate) fn seeds() -> Vec<Seed> {
    histories().into_iter().chain(of_kind("channel").iter().map(of_packet)).collect()
}

fn of_packet(file: &File) -> Seed {
    let descriptors = word(&file.json, "descriptors").min(3) as u8;
    let mut output = Output::default();
    output.byte(3).byte(3).byte(descriptors).raw(&[0; 3][..descriptors.into()]);
    output.bytes(&bytes(&file.json, "bytes")).byte(4).byte(0);
    Seed::of_vector(file, output.done())
}

fn histories() -> Vec<Seed> {
    // Byte 0: the limit less one. Steps: 0 number paper length; 2 number uses; 4 number; 6; 7 which; 8 which; 9 which; 11 closes.
    let histories: &[(&str, &[u8])] = &[
        ("given-and-found", &[3, 0, 5, 0, 0, 4, 5, 4, 5, 6]),
        ("dropped-at-once", &[3, 0, 5, 0, 0, 4, 5, 2, 5, 1, 6, 4, 5]),
        ("dropped-before-the-last-message", &[3, 0, 5, 0, 0, 2, 5, 2, 4, 5, 6, 4, 5, 4, 5]),
        ("given-twice", &[3, 0, 5, 0, 0, 0, 5, 0, 0, 4, 1]),
        ("dropped-twice", &[3, 0, 5, 0, 0, 2, 5, 3, 2, 5, 3, 4, 1]),
        ("too-many", &[1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 4, 7]),
        ("dropped-make-room", &[0, 0, 1, 0, 0, 2, 1, 2, 0, 2, 0, 0, 4, 2, 4, 1, 4, 1]),
        ("not-sealed", &[3, 0, 1, 2, 0, 4, 1]),
        ("no-memory", &[3, 0, 1, 5, 0, 4, 1]),
        ("other-length", &[3, 0, 1, 0, 255, 8, 0, 0, 0, 4, 1]),
        ("odd-length", &[3, 0, 1, 4, 0, 4, 1]),
        ("ours-given-published-dropped", &[3, 7, 0, 8, 0, 8, 0, 7, 0, 9, 0, 11, 0]),
        ("ours-too-many", &[0, 7, 0, 7, 2, 9, 0, 7, 1, 11, 0]),
        ("closed", &[3, 7, 0, 0, 5, 0, 0, 11, 255, 4, 5, 7, 2, 9, 0, 6]),
    ];
    histories.iter().map(|(name, bytes)| Seed::new(*name, bytes.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds that show nothing are none.
    #[test]
    fn what_the_seeds_are_called_after_is_seen() {
        let fault = |name: &str| {
            let seed = histories().into_iter().find(|seed| seed.name == name).expect("a seed");
            run(&seed.bytes)
        };
        for fine in ["given-and-found", "dropped-at-once", "dropped-make-room", "closed"] {
            assert_eq!(fault(fine), None, "{fine}");
        }
        assert_eq!(fault("given-twice"), Some(ControlFault::Number { number: 5 }));
        assert_eq!(fault("dropped-twice"), Some(ControlFault::Number { number: 5 }));
        assert_eq!(fault("too-many"), Some(ControlFault::TooMany { limit: 2 }));
        for unfit in ["not-sealed", "no-memory", "other-length", "odd-length"] {
            assert_eq!(fault(unfit), Some(ControlFault::File { number: 1 }), "{unfit}");
        }
        let refused = of_kind("channel");
        assert!(refused.len() > 5);
        for file in &refused {
            assert!(run(&of_packet(file).bytes).is_some(), "{}", file.path);
        }
    }
}
