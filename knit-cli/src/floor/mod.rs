//! Limits and peers: how fast two processes of this machine can answer each other at all, and what
//! the usual ways cost, measured by the same code in the same run as whatever is compared with them.
//!
//! The second process is this executable started again. Call [`serve_if_peer`] first in `main`: in
//! the second process it does the peer's part and does not return.
//!
//! ```text
//! Floor          what crosses                            how both sides wait
//! PingPong       one line, one word toggled in place     spin, one pause hint per poll
//! TwoLines       one line each way: seven words, stamp   spin, one pause hint per poll
//! RotatingLines  the same, the next of 32 every time     spin, one pause hint per poll
//! Copy           as TwoLines, and a payload each way     spin, one pause hint per poll
//! Futex          one word each way                       shared futex, both sides block
//! UnixSocket     eight bytes each way                    read, both sides block
//! Pipe           eight bytes each way                    read, both sides block
//! ```
//!
//! The two processes run on two processors when there are two. A figure is worth something only
//! beside others of the same run: virtual processors move, and what a cache line costs moves with
//! them. Measure [`Floor::PingPong`] before and after.
//!
//! ```no_run
//! use knit_cli::floor::{self, Cpus, Floor, Plan};
//!
//! floor::serve_if_peer();
//! let plan = Plan::quick(Cpus::choose()?);
//! let ping_pong = Floor::PingPong.measure(&plan)?;
//! println!("one cache line there and back: {:.0} ns", ping_pong.median());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod copy;
mod cpus;
mod error;
mod futex;
mod line;
mod patience;
mod peer;
mod plan;
mod sample;
mod stream;

pub use cpus::{Cpus, Pinned};
pub use error::FloorError;
pub use patience::{PATIENCE, Patience};
pub use peer::{Peer, Role, enter, leave, shared_memory};
pub use plan::Plan;
pub use sample::Sample;

use knit_ring::{Mapped, Mapping, SharedMemory};
use std::fmt;

/// Environment variable that names the part which a second process plays.
const VARIABLE: &str = "KNIT_FLOOR_PEER";

/// A way for two processes to answer each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// One cache line, one word of it toggled in place: the least that an answer can cost.
    PingPong,
    /// One cache line each way, seven words and a stamp: what a header-only call has to move.
    TwoLines,
    /// [`Self::TwoLines`] in the next of 32 lines every time, which lie as the slot headers of a
    /// mailbox do. Faster than always the same line: the limit of a header-only call.
    RotatingLines,
    /// [`Self::TwoLines`], and a payload copied into and out of shared memory on both sides.
    Copy {
        /// Bytes each way, a multiple of 64.
        bytes: u32,
    },
    /// A shared futex each way; both sides block.
    Futex,
    /// A Unix stream socket, eight bytes each way; both sides block.
    UnixSocket,
    /// A pipe each way, eight bytes; both sides block.
    Pipe,
}

impl Floor {
    /// Measures the floor. Blocks the calling thread and pins it to a processor meanwhile.
    ///
    /// Every answer is checked. The second process is ended and reaped before this returns, and the
    /// kernel ends it when the calling thread dies.
    ///
    /// # Errors
    ///
    /// The second process could not be started, ended, was silent for [`PATIENCE`] or answered
    /// something wrong.
    pub fn measure(self, plan: &Plan) -> Result<Sample, FloorError> {
        let pinned = plan.cpus.pin_here()?;
        let sample = match self {
            Self::PingPong => line::ping_pong(plan),
            Self::TwoLines | Self::RotatingLines => line::lines(plan, self),
            Self::Copy { bytes } => copy::measure(plan, bytes),
            Self::Futex => futex::measure(plan),
            Self::UnixSocket => stream::unix_socket(plan),
            Self::Pipe => stream::pipe(plan),
        };
        drop(pinned);
        sample
    }

    /// Bytes that cross each way beside what says that there is something.
    #[must_use]
    pub fn payload_bytes(self) -> u32 {
        match self {
            Self::PingPong | Self::Futex => 0,
            Self::TwoLines | Self::RotatingLines => line::BODY_WORDS as u32 * 4,
            Self::Copy { bytes } => bytes,
            Self::UnixSocket | Self::Pipe => stream::MESSAGE_BYTES as u32,
        }
    }

    fn role(self) -> Role {
        let name = match self {
            Self::PingPong => "ping_pong",
            Self::TwoLines => "two_lines",
            Self::RotatingLines => "rotating_lines",
            Self::Copy { .. } => "copy",
            Self::Futex => "futex",
            Self::UnixSocket => "unix_socket",
            Self::Pipe => "pipe",
        };
        Role { variable: VARIABLE, name }
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PingPong => f.write_str("one cache line, in place"),
            Self::TwoLines => f.write_str("one cache line each way"),
            Self::RotatingLines => f.write_str("the next of 32 cache lines each way"),
            Self::Copy { bytes } => write!(f, "copies of {bytes} bytes, no mailbox"),
            Self::Futex => f.write_str("shared futex, both sides block"),
            Self::UnixSocket => f.write_str("Unix socket, 8 bytes, both sides block"),
            Self::Pipe => f.write_str("pipe, 8 bytes, both sides block"),
        }
    }
}

/// Plays the part of the second process when this process was started for that, and then does not
/// return; otherwise does nothing. Call it first in `main`.
pub fn serve_if_peer() {
    let Some(name) = enter(VARIABLE) else { return };
    leave(match name.as_str() {
        "ping_pong" => line::serve_ping_pong(),
        "two_lines" => line::serve_lines(Floor::TwoLines),
        "rotating_lines" => line::serve_lines(Floor::RotatingLines),
        "copy" => copy::serve(),
        "futex" => futex::serve(),
        "unix_socket" => stream::serve_unix_socket(),
        "pipe" => stream::serve_pipe(),
        _ => Err(FloorError::UnknownRole { name }),
    });
}

/// Zeroed shared memory of `len` bytes with pages behind it, and a peer that has it as its standard
/// input.
fn start_with_memory(
    floor: Floor,
    len: u32,
    cpus: &Cpus,
) -> Result<(Mapped<Mapping>, Peer), FloorError> {
    let memory = Mapping::create(len)?;
    let all = knit_proto::Span::new(0, len).expect("lengths of floors are multiples of four");
    memory.reserve(all)?;
    let peer = Peer::start_with_memory(floor.role(), &memory, cpus)?;
    Ok((memory, peer))
}
