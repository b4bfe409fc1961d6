//! What a script tells a party to do.

use crate::Who;
use crate::vectors::build::{bits64, hex};
use knit_codec::Payload;
use knit_proto::{Form, PayloadPlace, RawSlotHeader, SlotHeader, Tag, Word0};
use serde_json::{Value, json};

/// One step of a script. Steps that name no party are the host's or the worker's by nature; in
/// steps for mailbox and arena alone the host sends and the worker receives.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Host: makes the segment.
    Create,
    /// Worker: reads its header.
    Attach,
    /// Host: says that it is there.
    Announce,
    /// Worker: accepts features and says that it is there.
    Open,
    /// Worker: the same, where its clock is not the one of its host.
    OpenApart,
    /// Host: looks for the worker, and locks the features when it is there.
    Connect,
    /// Host: claims a slot and leaves it.
    Abandon,
    /// Host: sends one message.
    Send(Message),
    /// Host: sends several with one store of the publish word.
    Batch(Vec<Message>),
    /// Worker: takes a message, which it finds by the publish word.
    Take,
    /// Worker: takes a message, which it finds by the stamp.
    Poll,
    /// Worker: releases what it has taken.
    Release,
    /// Host: makes a block live that holds these bytes.
    Allocate(Vec<u8>),
    /// Worker: copies so many bytes from here on out of the arena.
    Read(u32, u32),
    /// Worker: frees this block.
    Free(u32),
    /// Host: tells the worker that there is something new.
    Notify,
    /// A side goes to sleep, unless there is something to do.
    Park(Who),
    /// Its wait has ended.
    WakeUp(Who),
    /// Host: sends a call.
    Submit(u16, Payload<'static>),
    /// Host: sends a call whose caller waits until so many nanoseconds of its clock.
    SubmitUntil(u16, Payload<'static>, u64),
    /// Host: takes calls back that may not have begun.
    Withdraw(Vec<u32>),
    /// Host: looks again which of them have not begun.
    Settle,
    /// Worker: takes a call.
    Serve,
    /// Worker: looks until when the caller of the call with this id waits.
    Deadline(u32),
    /// Worker: answers the call with this id, which it has found withdrawn.
    GiveBack(u32),
    /// Worker: answers the call with this id.
    Answer(u32, bool, Payload<'static>),
    /// Host: takes an answer.
    Collect,
    /// A side looks at the other one's control line.
    Look(Who),
    /// A side says that it is leaving.
    Close(Who),
}

/// A message of the mailbox alone.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) header: SlotHeader,
    pub(super) inline: &'static [u8],
}

impl Message {
    /// Call `call` of function 3.
    pub(super) fn new(call: u32, tag: Tag, place: PayloadPlace, inline: &'static [u8]) -> Self {
        let word0 = Word0::Call { function: 3, abort: None };
        Self { header: SlotHeader { word0, call, tag, place }, inline }
    }

    /// With `text` inline.
    pub(super) fn text(call: u32, text: &'static str) -> Self {
        let place = PayloadPlace::Inline { len: len(text.as_bytes()) };
        Self::new(call, Tag::STRING_INLINE, place, text.as_bytes())
    }

    /// With nothing.
    pub(super) fn bare(call: u32) -> Self {
        Self::new(call, Tag::TRUE, PayloadPlace::Bare, &[])
    }

    pub(super) fn json(&self) -> Value {
        message(&self.header, self.inline)
    }
}

impl Step {
    pub(super) const fn who(&self) -> Who {
        match self {
            Self::Create
            | Self::Announce
            | Self::Connect
            | Self::Abandon
            | Self::Send(_)
            | Self::Batch(_)
            | Self::Allocate(_)
            | Self::Notify
            | Self::Submit(..)
            | Self::SubmitUntil(..)
            | Self::Withdraw(_)
            | Self::Settle
            | Self::Collect => Who::Host,
            Self::Attach
            | Self::Open
            | Self::OpenApart
            | Self::Take
            | Self::Poll
            | Self::Release
            | Self::Read(..)
            | Self::Free(_)
            | Self::Serve
            | Self::Deadline(_)
            | Self::GiveBack(_)
            | Self::Answer(..) => Who::Worker,
            Self::Park(who) | Self::WakeUp(who) | Self::Look(who) | Self::Close(who) => *who,
        }
    }

    /// The step as a script has it, with what it gave.
    pub(super) fn json(&self, result: &Value) -> Value {
        let (name, members) = match self {
            Self::Create => ("create", json!({})),
            Self::Attach => ("attach", json!({})),
            Self::Announce => ("announce", json!({})),
            Self::Open => ("open", json!({})),
            Self::OpenApart => ("open", json!({ "clock": "another" })),
            Self::Connect => ("connect", json!({})),
            Self::Abandon => ("abandon", json!({})),
            Self::Send(message) => ("send", json!({ "message": message.json() })),
            Self::Batch(messages) => {
                let messages: Vec<_> = messages.iter().map(Message::json).collect();
                ("batch", json!({ "messages": messages }))
            }
            Self::Take => ("take", json!({})),
            Self::Poll => ("poll", json!({})),
            Self::Release => ("release", json!({})),
            Self::Allocate(bytes) => ("allocate", json!({ "hex": hex(bytes) })),
            Self::Read(start, len) => ("read", json!({ "start": start, "len": len })),
            Self::Free(block) => ("free", json!({ "block": block })),
            Self::Notify => ("notify", json!({})),
            Self::Park(_) => ("park", json!({})),
            Self::WakeUp(_) => ("wake_up", json!({})),
            Self::Submit(function, argument) => {
                ("submit", json!({ "function": function, "payload": payload(argument) }))
            }
            Self::SubmitUntil(function, argument, until) => (
                "submit",
                json!({
                    "function": function,
                    "payload": payload(argument),
                    "until": until.to_string(),
                }),
            ),
            Self::Withdraw(calls) => ("withdraw", json!({ "calls": calls })),
            Self::Settle => ("settle", json!({})),
            Self::Serve => ("serve", json!({})),
            Self::Deadline(call) => ("deadline", json!({ "call": call })),
            Self::GiveBack(call) => ("give_back", json!({ "call": call })),
            Self::Answer(call, rejected, value) => {
                ("answer", json!({ "call": call, "rejected": rejected, "payload": payload(value) }))
            }
            Self::Collect => ("collect", json!({})),
            Self::Look(_) => ("look", json!({})),
            Self::Close(_) => ("close", json!({})),
        };
        let mut step = json!({ "who": self.who().name(), "do": name });
        for (name, value) in members.as_object().expect("an object") {
            step[name] = value.clone();
        }
        step["result"] = result.clone();
        step
    }
}

/// A message: what `slot/` says of a header line, and the bytes in the inline area.
pub(super) fn message(header: &SlotHeader, inline: &[u8]) -> Value {
    let mut json = match header.word0 {
        Word0::Call { function, abort } => json!({ "function": function, "abort": abort }),
        Word0::Answer { rejected } => json!({ "rejected": rejected }),
        Word0::Withdrawn => json!({ "withdrawn": true }),
    };
    json["call"] = header.call.into();
    json["tag"] = header.tag.0.into();
    let (form, place) = match header.place {
        PayloadPlace::Bare => ("BARE", json!({})),
        PayloadPlace::Scalar(bits) => ("SCALAR", json!({ "scalar": bits64(bits) })),
        PayloadPlace::Inline { len } => ("INLINE", json!({ "len": len })),
        PayloadPlace::Arena { block, start, len } => {
            ("ARENA", json!({ "len": len, "block": block.get(), "start": start }))
        }
        PayloadPlace::InlineHead { head, block, start, body } => (
            "INLINE_HEAD",
            json!({ "block": block.get(), "start": start, "head": head, "body": body }),
        ),
        PayloadPlace::ArenaHead { head, block, start, body } => (
            "ARENA_HEAD",
            json!({ "block": block.get(), "start": start, "head": head, "body": body }),
        ),
    };
    json["form"] = form.into();
    for (name, value) in place.as_object().expect("an object") {
        json[name] = value.clone();
    }
    if !inline.is_empty() {
        json["inline"] = hex(inline).into();
    }
    json
}

/// A payload: its tag, and what it is made of.
pub(super) fn payload(payload: &Payload<'_>) -> Value {
    let tag = payload.tag();
    let mut json = json!({ "tag": tag.0 });
    match tag.form() {
        Some(Form::Scalar) => json["scalar"] = bits64(payload.scalar_bits()),
        Some(Form::Bare) | None => {}
        Some(form) => {
            json["hex"] = hex(payload.as_bytes()).into();
            if matches!(form, Form::InlineHead | Form::ArenaHead) {
                json["head"] = payload.head_len().into();
            }
        }
    }
    json
}

/// The bytes of the inline area that belong to a message.
pub(super) fn inline_len(header: &RawSlotHeader, place: PayloadPlace) -> usize {
    match place {
        PayloadPlace::Inline { .. } | PayloadPlace::InlineHead { .. } => header.0[5] as usize,
        _ => 0,
    }
}

pub(super) fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("messages of traces are short")
}
