//! The crates against the references.

mod plain;

use crate::reference::{self, Input, Line, Observer, SlotLimits};
use crate::vector_files::value;
use knit_codec::{Decode, Encode, EncodeError, Limits, Payload, Value};
use knit_proto::{
    ControlMessage, Direction, Layout, Negotiation, ProtocolViolation, RawControl, RawHeader,
    RawSlotHeader, Reader, Region, SlotHeader, SlotIndex, SlotRules,
};

/// Compares what the crate and the reference make of a header of a segment of `mapped` bytes: the same fields
/// and the same places, or the same fault. What is written anew from the fields is read alike. Returns the
/// layout, if there is one.
///
/// # Panics
///
/// They differ.
pub fn hold_header(raw: &RawHeader, reader: Reader, mapped: u64) -> Option<Layout> {
    let mut bytes = [0; 256];
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(raw.0) {
        *bytes = word.to_le_bytes();
    }
    let found = raw.parse_as(reader, mapped);
    let version = (reader.version.major.into(), reader.version.minor.into());
    let other = reference::Reader { version, features: reader.features.bits() };
    match (found, reference::header(&bytes, other, mapped)) {
        (Ok(layout), Ok(expected)) => {
            assert_eq!(plain::header(&layout), expected);
            for region in Region::ALL {
                let span = layout.region(region);
                assert!(u64::from(span.at()) + u64::from(span.len()) <= layout.len().into());
            }
            let again = RawHeader::encode(layout.fields());
            assert_eq!(again.parse_as(reader, mapped), Ok(layout));
            assert!(again.parse_as(reader, mapped ^ 64).is_err(), "another length");
            Some(layout)
        }
        (Err(error), Err(expected)) => {
            assert_eq!(error.name(), expected, "{error}");
            None
        }
        (found, expected) => panic!("{found:?}, expected {expected:?}"),
    }
}

/// Compares what the crate and the reference make of words 0 to 6 of a header line: the same header, or the same
/// fault. What is written anew from the header has the same words, but for those that the form does not use.
/// Returns the header, if there is one.
///
/// # Panics
///
/// They differ.
pub fn hold_slot(raw: &RawSlotHeader, rules: &SlotRules, slot: SlotIndex) -> Option<SlotHeader> {
    let limits = SlotLimits {
        request: rules.direction == Direction::Request,
        arena_bytes: rules.arena_bytes.into(),
        max_payload: rules.max_payload.into(),
        abort_capacity: rules.abort_capacity,
    };
    match (raw.parse(rules, slot), reference::slot(raw.0, limits)) {
        (Ok(found), Ok(expected)) => {
            assert_eq!(plain::slot(&found), expected);
            let again = RawSlotHeader::encode(&found);
            assert_eq!(again.parse(rules, slot), Ok(found));
            for (word, (again, before)) in again.0.into_iter().zip(raw.0).enumerate() {
                // Words that the form does not use are zero; of word 6 it uses five bits.
                let kept = again == before || again == 0 || (word == 6 && again == before & 31);
                assert!(kept, "word {word} was {before:#x} and is {again:#x}");
            }
            Some(found)
        }
        (Err(violation), Err(expected)) => {
            assert_eq!(violation.name(), expected, "{violation}");
            None
        }
        (found, expected) => panic!("{found:?}, expected {expected:?}"),
    }
}

/// Compares what the crate and the reference make of a control line that one side loads, `request`: because a
/// request was taken. Returns the violation, if it is one.
///
/// # Panics
///
/// They differ.
pub fn hold_line(
    negotiation: &mut Negotiation,
    observer: &mut Observer,
    line: RawControl,
    request: bool,
) -> Option<ProtocolViolation> {
    let RawControl { state, epoch, features } = line;
    let found = if request && !observer.host {
        negotiation.observe_locked(line)
    } else {
        negotiation.observe(line)
    };
    let expected = observer.look(Line { state, epoch, features }, request && !observer.host);
    assert_eq!(negotiation.accepted().map(|features| features.bits()), observer.accepted());
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found.word(), expected),
        (Err(violation), Err(expected)) => {
            assert_eq!(violation.name(), expected, "{violation}");
            return Some(violation);
        }
        (found, expected) => panic!("{found:?}, expected {expected:?}"),
    }
    None
}

/// Compares what the crate and the reference make of a packet of the control channel. A message is written as
/// the packet that it came in. Returns the message, if it is one.
///
/// # Panics
///
/// They differ.
pub fn hold_channel(packet: &[u8], descriptors: u32) -> Option<ControlMessage> {
    match (ControlMessage::parse(packet, descriptors), reference::channel(packet, descriptors)) {
        (Ok(message), Ok(expected)) => {
            let said = match message {
                ControlMessage::Give { number, len } => (true, number, len),
                ControlMessage::Drop { number, uses } => (false, number, uses),
            };
            assert_eq!(said, expected);
            assert_eq!(message.to_bytes(), packet);
            Some(message)
        }
        (Err(fault), Err(expected)) => {
            let violation = ProtocolViolation::ControlChannel { fault };
            assert_eq!(violation.name(), expected, "{violation}");
            None
        }
        (found, expected) => panic!("{found:?}, expected {expected:?}"),
    }
}

/// Compares what codec and reference make of a payload: the same value, or the same fault. What is a value is
/// encoded and decoded again. Returns the value, if it is one.
///
/// # Panics
///
/// They differ.
pub fn hold_payload(payload: &Payload<'_>, limits: &Limits) -> Option<Value> {
    let found = Value::decode(payload.clone(), limits);
    let expected = reference::decode(
        Input {
            tag: payload.tag().0,
            scalar: payload.scalar_bits(),
            bytes: payload.as_bytes(),
            head: payload.head_len() as usize,
        },
        reference::Limits {
            payload: limits.payload as usize,
            depth: limits.depth as usize,
            causes: limits.causes as usize,
            fields: limits.fields as usize,
            text: limits.text as usize,
            elements: limits.elements as usize,
            limbs: limits.limbs as usize,
        },
    );
    match (&found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(*found, value(&expected), "{payload:?}"),
        (Err(found), Err(expected)) => assert_eq!(found.name(), Some(expected), "{payload:?}"),
        (found, expected) => panic!("{found:?}, expected {expected:?}: {payload:?}"),
    }
    let Ok(found) = found else { return None };
    match found.encode(limits) {
        Ok(again) => assert_eq!(Value::decode(again, limits).as_ref(), Ok(&found), "{payload:?}"),
        // Texts that are made anew may be longer than they were, and reserved ids are only read.
        Err(EncodeError::TooLong(_) | EncodeError::ReservedCodec { .. }) => {}
        Err(refused) => panic!("{refused}: {payload:?}"),
    }
    Some(found)
}
