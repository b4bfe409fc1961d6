//! What is fuzzed, as functions of bytes.
//!
//! Each body takes the bytes of a fuzzer for a structured input, runs some of the crates on it, and holds what
//! they do against an oracle: a slow reader written from the chapters of `spec/`, a plain model, or what they
//! promise. It panics where they differ; it takes every input.
//!
//! `fuzz/` runs them under cargo-fuzz with AddressSanitizer (`cargo xtask fuzz`), `cargo test` over the
//! [`corpus`] and some thousand changes of it.

#![forbid(unsafe_code)]

mod arena;
mod boot;
mod change;
mod control_channel;
pub mod corpus;
mod header;
mod host_lane;
mod input;
mod knitting_ends;
mod limits;
mod link;
mod mailbox;
mod memory;
mod negotiation;
mod payload_decode;
mod payload_round_trip;
mod segment;
mod slot_header;
mod speed;
mod value;
mod withdrawal;

pub use arena::arena;
pub use boot::boot;
pub use change::change;
pub use control_channel::control_channel;
pub use header::header;
pub use host_lane::host_lane;
pub use knitting_ends::knitting_ends;
pub use link::link;
pub use mailbox::mailbox;
pub use memory::memory;
pub use negotiation::negotiation;
pub use payload_decode::payload_decode;
pub use payload_round_trip::payload_round_trip;
pub use segment::segment;
pub use slot_header::slot_header;
pub use speed::speed;
pub use withdrawal::withdrawal;

use corpus::Seed;

/// Something that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of the cargo-fuzz target and of the folder of its corpus.
    pub name: &'static str,
    /// What runs one input.
    pub body: fn(&[u8]),
    /// The inputs that follow from the vectors.
    pub seeds: fn() -> Vec<Seed>,
    /// Longest input that a fuzzer tries, in bytes: what is behind it is not read, or says nothing new.
    pub longest: usize,
    /// What it is about.
    pub about: &'static str,
}

/// Everything that is fuzzed, in the order of the layers.
pub const TARGETS: &[Target] = &[
    Target {
        name: "header",
        body: header,
        seeds: header::seeds,
        longest: 273,
        about: "a segment header, read twice",
    },
    Target {
        name: "slot_header",
        body: slot_header,
        seeds: slot_header::seeds,
        longest: 42,
        about: "words 0 to 6 of a header line, read twice and written again",
    },
    Target {
        name: "payload_decode",
        body: payload_decode,
        seeds: payload_decode::seeds,
        longest: 2560,
        about: "a payload, decoded by the codec and by the reference, to any type",
    },
    Target {
        name: "payload_round_trip",
        body: payload_round_trip,
        seeds: payload_round_trip::seeds,
        longest: 2560,
        about: "a value, encoded and decoded again",
    },
    Target {
        name: "memory",
        body: memory,
        seeds: memory::seeds,
        longest: 310,
        about: "copies in and out of shared memory, against plain bytes",
    },
    Target {
        name: "mailbox",
        body: mailbox,
        seeds: mailbox::seeds,
        longest: 512,
        about: "operations on a mailbox, either end honest or hostile",
    },
    Target {
        name: "arena",
        body: arena,
        seeds: arena::seeds,
        longest: 512,
        about: "operations on an arena, its free word honest or hostile",
    },
    Target {
        name: "segment",
        body: segment,
        seeds: segment::seeds,
        longest: 512,
        about: "either end of a lane, while its peer writes anything between any two loads",
    },
    Target {
        name: "negotiation",
        body: negotiation,
        seeds: negotiation::seeds,
        longest: 256,
        about: "control lines as one side sees them, against the table of the chapter",
    },
    Target {
        name: "boot",
        body: boot,
        seeds: boot::seeds,
        longest: 2560,
        about: "boot descriptions, of this project and of Knitting",
    },
    Target {
        name: "control_channel",
        body: control_channel,
        seeds: control_channel::seeds,
        longest: 256,
        about: "packets of the control channel, read twice and written again",
    },
    Target {
        name: "host_lane",
        body: host_lane,
        seeds: host_lane::seeds,
        longest: 512,
        about: "calls through a lane: each has one outcome, and its own",
    },
    Target {
        name: "withdrawal",
        body: withdrawal,
        seeds: withdrawal::seeds,
        longest: 512,
        about: "calls that are taken back, given up or late: both ends say of each what is so",
    },
    Target {
        name: "link",
        body: link,
        seeds: link::seeds,
        longest: 512,
        about: "the book of a lane's shared buffers, the other side of its channel honest or hostile",
    },
    Target {
        name: "knitting_ends",
        body: knitting_ends,
        seeds: knitting_ends::seeds,
        longest: 512,
        about: "a worker's ends on the bare lane block of a Knitting host, which writes anything between any two loads",
    },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
