//! What every trace must keep to, read off the clauses and not off the code.
//!
//! A check goes through a trace in its order and remembers what each party can know by then: what
//! it stored itself, and what it loaded with acquire ordering.

pub mod arena;
pub mod broken;
pub mod broken_optional;
pub mod control;
pub mod deadlines;
pub mod journal;
pub mod memory;
pub mod slots;
pub mod waking;
pub mod withdrawal;

/// Ok, or what is wrong.
pub type Checked = Result<(), String>;

/// Goes through a trace.
pub type Check = fn(&[Access]) -> Checked;

/// Every check, with what it is called.
pub const CHECKS: [(&str, Check); 17] = [
    ("orders", memory::orders),
    ("one writer", memory::one_writer),
    ("loads", memory::loads_see_stores),
    ("header", control::header),
    ("states", control::states),
    ("features", control::features),
    ("slots", slots::hand_over),
    ("header words once", slots::header_words_once),
    ("stamps", slots::stamps),
    ("calls", slots::calls),
    ("blocks", arena::blocks),
    ("bells", waking::bells),
    ("parking", waking::parking),
    ("journal", journal::stages),
    ("withdrawal", withdrawal::bits_and_fences),
    ("journal orders", withdrawal::journal_orders),
    ("deadlines", deadlines::entries),
];

/// One access of a trace.
#[derive(Clone, Debug)]
pub struct Access {
    pub who: Who,
    pub op: Op,
    /// Name of the word or of the first byte; empty for a fence.
    pub name: String,
    pub place: Place,
    /// Of a load, a store or a wait.
    pub value: u32,
    pub order: String,
    /// Of a read or a write.
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Host,
    Worker,
}

impl Who {
    /// By number, for tables of what each party knows.
    pub fn index(self) -> usize {
        match self {
            Self::Host => 0,
            Self::Worker => 1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Load,
    Store,
    Fence,
    Read,
    Write,
    Wait,
    Wake,
}

/// Which mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::Request, Self::Response];

    /// By number, for tables of what was stored in each.
    pub fn index(self) -> usize {
        match self {
            Self::Request => 0,
            Self::Response => 1,
        }
    }

    pub fn sender(self) -> Who {
        match self {
            Self::Request => Who::Host,
            Self::Response => Who::Worker,
        }
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    None,
    Header(String),
    Control(Who, String),
    /// A word of the stage journal.
    Journal(usize),
    /// The withdrawn word.
    Withdrawn,
    /// Of an entry of the deadlines, the low (0) or the high word (1).
    Deadline(usize, usize),
    /// A word of a sector.
    Sector(Direction, String),
    /// A word of a header line, the stamp included.
    Line(Direction, usize, String),
    /// A byte of an inline area.
    Inline(Direction, usize),
    /// A byte of an arena's data.
    Arena(Direction, usize),
}

impl Place {
    fn new(name: &str) -> Result<Self, String> {
        if let Some(index) = name.strip_prefix("extension.stage_journal[") {
            return Ok(Self::Journal(number(index.trim_end_matches(']'))? as usize));
        }
        if let Some(index) = name.strip_prefix("extension.deadlines[") {
            let index = number(index.trim_end_matches(']'))? as usize;
            return Ok(Self::Deadline(index / 2, index % 2));
        }
        if name == "extension.withdrawn" {
            return Ok(Self::Withdrawn);
        }
        let (first, rest) = match name.split_once('.') {
            Some(parts) => parts,
            None if name.is_empty() => return Ok(Self::None),
            None => return Err(format!("{name} is nobody's")),
        };
        let direction = match first {
            "header" => return Ok(Self::Header(rest.to_owned())),
            "host_control" => return Ok(Self::Control(Who::Host, rest.to_owned())),
            "worker_control" => return Ok(Self::Control(Who::Worker, rest.to_owned())),
            "request" => Direction::Request,
            "response" => Direction::Response,
            _ => return Err(format!("{name} is nobody's")),
        };
        match rest.split_once(']') {
            None => Ok(Self::Sector(direction, rest.to_owned())),
            Some((place, part)) => match (place.split_once('['), part.strip_prefix('.')) {
                (Some(("arena", byte)), None) => Ok(Self::Arena(direction, number(byte)? as usize)),
                (Some(("slot", slot)), Some(part)) => {
                    let slot = number(slot)? as usize;
                    if part.starts_with("inline[") {
                        return Ok(Self::Inline(direction, slot));
                    }
                    Ok(Self::Line(direction, slot, part.to_owned()))
                }
                _ => Err(format!("{name} is nobody's")),
            },
        }
    }

    /// Who writes it.
    pub fn writer(&self) -> Option<Who> {
        let other = |who| if who == Who::Host { Who::Worker } else { Who::Host };
        match self {
            Self::None => None,
            Self::Header(_) | Self::Withdrawn | Self::Deadline(..) => Some(Who::Host),
            Self::Journal(_) => Some(Who::Worker),
            Self::Control(side, _) => Some(*side),
            Self::Sector(direction, word) => match word.as_str() {
                "publish" | "allocate" => Some(direction.sender()),
                "release" | "free" => Some(other(direction.sender())),
                _ => None,
            },
            Self::Line(direction, ..) | Self::Inline(direction, _) | Self::Arena(direction, _) => {
                Some(direction.sender())
            }
        }
    }

    /// Whether it is this word of a sector.
    pub fn is_sector(&self, direction: Direction, word: &str) -> bool {
        matches!(self, Self::Sector(of, name) if *of == direction && name == word)
    }

    /// Whether it is this word of a control line.
    pub fn is_control(&self, side: Who, word: &str) -> bool {
        matches!(self, Self::Control(of, name) if *of == side && name == word)
    }
}

impl Access {
    /// From a line such as `host store request.publish 1 release`.
    pub fn from_line(line: &str) -> Result<Self, String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let access = Self::new(word(0), word(1), word(2), word(3), word(4));
        access.map_err(|error| format!("{line}: {error}"))
    }

    fn new(who: &str, op: &str, name: &str, last: &str, order: &str) -> Result<Self, String> {
        let who = match who {
            "host" => Who::Host,
            "worker" => Who::Worker,
            _ => return Err(format!("no party `{who}`")),
        };
        let (op, value, bytes) = match op {
            "load" => (Op::Load, number(last)?, Vec::new()),
            "store" => (Op::Store, number(last)?, Vec::new()),
            "fence" => (Op::Fence, 0, Vec::new()),
            "read" => (Op::Read, 0, unhex(last)?),
            "write" => (Op::Write, 0, unhex(last)?),
            "wait" => (Op::Wait, number(last)?, Vec::new()),
            "wake" => (Op::Wake, 0, Vec::new()),
            _ => return Err(format!("no access `{op}`")),
        };
        let place = Place::new(name)?;
        Ok(Self { who, op, name: name.to_owned(), place, value, order: order.to_owned(), bytes })
    }

    /// Whether the access loads or reads.
    pub fn loads(&self) -> bool {
        matches!(self.op, Op::Load | Op::Read)
    }

    /// Whether the access stores or writes.
    pub fn stores(&self) -> bool {
        matches!(self.op, Op::Store | Op::Write)
    }
}

/// What a check says about one access.
pub fn wrong(at: usize, access: &Access, what: &str) -> Checked {
    let Access { who, op, name, value, .. } = access;
    Err(format!("access {at}, {who:?} {op:?} {name} {value:#x}: {what}"))
}

/// A decimal or hexadecimal number.
pub fn number(text: &str) -> Result<u32, String> {
    let read = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.map_err(|error| format!("`{text}`: {error}"))
}

pub fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let byte = |at| u8::from_str_radix(text.get(at..at + 2).unwrap_or_default(), 16);
    let bytes = (0..text.len()).step_by(2).map(byte).collect::<Result<_, _>>();
    bytes.map_err(|error| format!("`{text}`: {error}"))
}

/// The bits that are set in a word, as indices.
pub fn bits(word: u32) -> impl Iterator<Item = usize> {
    (0..32).filter(move |bit| word & 1 << bit != 0)
}
