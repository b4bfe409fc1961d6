//! Scripted exchanges, and every access that follows from them.
//!
//! Other than the vectors beside it, these are recorded: the parties of this project do what the
//! script says, over a memory that writes down what they do. `tests/tests/traces.rs` reads the files
//! and holds them against the clauses without a look at the code.

mod lanes;
mod messages;
mod optional;
mod player;
mod step;

use super::VectorFile;
use super::build::{Vector, bits};
use crate::{WordNames, header_fields};
use knit_proto::{CreatorId, Direction, Features, HeaderFields, Layout};
use knit_ring::Stamps::{self, On};
use player::{MAX_PAYLOAD, Player};
use serde_json::{Value, json};
use step::Step;

pub(super) fn vectors() -> Vec<VectorFile> {
    let names = WordNames::new(&Layout::new(fields(On)));
    let exchanges = [
        lanes::segment(),
        messages::mailbox(),
        messages::slots(),
        messages::arena(),
        lanes::parking(),
        lanes::lane(),
        lanes::closing(),
        optional::withdrawal(),
        optional::deadlines(),
    ];
    exchanges.into_iter().flatten().map(|exchange| exchange.file(&names)).collect()
}

/// One exchange.
#[derive(Clone)]
struct Exchange {
    words: &'static str,
    clauses: &'static [&'static str],
    doc: &'static str,
    stamps: Stamps,
    /// Features that are offered besides.
    also: Features,
    script: Vec<Step>,
}

impl Exchange {
    fn new(
        words: &'static str,
        clauses: &'static [&'static str],
        doc: &'static str,
        stamps: Stamps,
        script: impl IntoIterator<Item = Step>,
    ) -> Self {
        let script = script.into_iter().collect();
        Self { words, clauses, doc, stamps, also: Features::NONE, script }
    }

    fn offering(self, also: Features) -> Self {
        Self { also, ..self }
    }

    fn file(self, names: &WordNames) -> VectorFile {
        let mut fields = fields(self.stamps);
        fields.optional = fields.optional.or(self.also);
        let mut player = Player::new(fields, self.stamps);
        let play = |(number, step): (usize, &Step)| {
            let result = player.play(number, step);
            step.json(&result)
        };
        let script: Vec<_> = self.script.iter().enumerate().map(play).collect();
        Vector::new("trace", self.words, self.clauses, self.doc)
            .with("segment", segment_json(&fields))
            .with("stamps", self.stamps == On)
            .with("script", script)
            .with("trace", player.trace(names))
            .with("final", player.memory(names))
            .file()
    }
}

/// The segment of every exchange: arenas of 4096 bytes, 32 abort signals, one page of extension.
fn fields(stamps: Stamps) -> HeaderFields {
    HeaderFields {
        required: Features::FUTEX_BELLS,
        optional: if stamps == On { Features::STAMPS } else { Features::NONE },
        epoch: 7,
        creator: CreatorId { pid: 100, start_time: 0x1_0000_0002, boot: 0x0123_4567_89ab_cdef },
        tasks: 0xfedc_ba98_7654_3210,
        ..header_fields(MAX_PAYLOAD, 32)
    }
}

/// What a header says, as the vectors of headers have it.
fn segment_json(fields: &HeaderFields) -> Value {
    json!({
        "major": fields.version.major,
        "minor": fields.version.minor,
        "required": bits(fields.required.bits()),
        "optional": bits(fields.optional.bits()),
        "epoch": fields.epoch,
        "creator_pid": fields.creator.pid,
        "creator_start": fields.creator.start_time.to_string(),
        "creator_boot": fields.creator.boot.to_string(),
        "lane_kind": 1,
        "abort_capacity": fields.geometry.abort_capacity(),
        "tasks": fields.tasks.to_string(),
        "extension_bytes": fields.extension.get(),
        "request_arena_bytes": fields.geometry.arena_bytes(Direction::Request),
        "response_arena_bytes": fields.geometry.arena_bytes(Direction::Response),
        "request_reserved": fields.request_reserved,
        "response_reserved": fields.response_reserved,
    })
}
