//! E5: whoever sees the ready word of a segment sees the whole header. E6: whoever sees a side's
//! state sees the epoch and the features beside it.

use knit_proto::{
    ControlLayout, CreatorId, ExtensionBytes, Features, Geometry, HEADER_BYTES, HeaderError,
    HeaderFields, LaneKind, LaneState, Layout, RawHeader, Span, Version, WordOffset, field,
};
use knit_ring::{SegmentError, SharedMemory, SharedWord, attach_segment, create_segment};
use knit_tests::{Bounds, LoomMemory, Rejection, Weaken, Weakening, explore, lane, reject};

/// SEG-4, SEG-7.
#[test]
fn a_ready_segment_has_its_whole_header() {
    explore("segment", Bounds::ALL, &[header(fields()), None], || {
        attach(Weakening::None, Weakening::None)
    });
}

#[test]
fn model_rejects_ready_stored_relaxed() {
    let weakening = Weakening::StoreRelaxed(ready());
    let rejection =
        reject("ready stored relaxed", Bounds::ALL, &[header(fields()), None], move || {
            attach(weakening, Weakening::None)
        });
    assert_eq!(rejection, Rejection::Race);
}

#[test]
fn model_rejects_ready_loaded_relaxed() {
    let weakening = Weakening::LoadRelaxed(ready());
    let rejection =
        reject("ready loaded relaxed", Bounds::ALL, &[header(fields()), None], move || {
            attach(Weakening::None, weakening)
        });
    assert_eq!(rejection, Rejection::Race);
}

/// LANE-7, LANE-8.
#[test]
fn an_open_side_shows_its_epoch_and_features() {
    explore("control line", Bounds::ALL, &control_outcomes(), || {
        control(Weakening::None, Weakening::None)
    });
}

#[test]
fn model_rejects_state_stored_relaxed() {
    let weakening = Weakening::StoreRelaxed(lane(2).sender.state);
    let rejection = reject("state stored relaxed", Bounds::ALL, &control_outcomes(), move || {
        control(weakening, Weakening::None)
    });
    assert_eq!(rejection, Rejection::Outcome);
}

#[test]
fn model_rejects_state_loaded_relaxed() {
    let weakening = Weakening::LoadRelaxed(lane(2).sender.state);
    let rejection = reject("state loaded relaxed", Bounds::ALL, &control_outcomes(), move || {
        control(Weakening::None, weakening)
    });
    assert_eq!(rejection, Rejection::Outcome);
}

fn fields() -> HeaderFields {
    HeaderFields {
        version: Version::CURRENT,
        required: Features::NONE,
        optional: Features::SUPPORTED,
        epoch: 7,
        creator: CreatorId { pid: 1, start_time: 2 << 32 | 3, boot: 4 << 32 | 5 },
        kind: LaneKind::Process,
        geometry: Geometry::new(128, 128, 0).expect("the smallest arenas"),
        extension: ExtensionBytes::MIN,
        tasks: 6 << 32 | 7,
        request_reserved: 64,
        response_reserved: 0,
    }
}

/// What an attaching side knows of a segment, as words, so that it can be compared and printed.
fn header(fields: HeaderFields) -> Option<Vec<u32>> {
    Some(RawHeader::encode(&fields).0.to_vec())
}

/// One side makes a segment; the other one looks once, and attaches if the segment is ready.
fn attach(weak_creator: Weakening, weak_reader: Weakening) -> Option<Vec<u32>> {
    let memory = LoomMemory::zeroed(Layout::new(fields()).len());
    let reader = Weaken::new(&memory, weak_reader);
    let creator = Weaken::new(&memory, weak_creator);
    // Loom wants an atomic to exist before two threads use it.
    drop(reader.word(ready()));
    let thread = loom::thread::spawn(move || create_segment(&creator, &fields()).map(drop));
    let attached = attach_segment(&reader);
    thread.join().unwrap().unwrap();
    match attached {
        Ok(layout) => header(*layout.fields()),
        Err(SegmentError::Header(HeaderError::NotReady)) => None,
        Err(error) => panic!("half a header was seen: {error}"),
    }
}

fn ready() -> WordOffset {
    let header = Span::new(0, HEADER_BYTES).expect("a multiple of four");
    header.word(field::READY as u32 * 4).expect("inside the header")
}

/// State, and if it is open: epoch and features.
type Control = (u32, Option<(u32, u32)>);

const EPOCH: u32 = 7;

fn control_outcomes() -> [Control; 2] {
    let beside = (EPOCH, Features::STAMPS.bits());
    [(LaneState::Absent.word(), None), (LaneState::Open.word(), Some(beside))]
}

fn control(weak_writer: Weakening, weak_reader: Weakening) -> Control {
    let lane = lane(2);
    let memory = LoomMemory::zeroed(lane.bytes);
    let [state, epoch, features] = line(&Weaken::new(&memory, weak_writer), &lane.sender);
    let thread = loom::thread::spawn(move || {
        epoch.store_relaxed(EPOCH);
        features.store_relaxed(Features::STAMPS.bits());
        // E6: release store, pairs with the acquire load below.
        state.store_release(LaneState::Open.word());
    });
    let [state, epoch, features] = line(&Weaken::new(&memory, weak_reader), &lane.sender);
    // E6: acquire load, pairs with the release store above.
    let state = state.load_acquire();
    let open = state == LaneState::Open.word();
    let beside = open.then(|| (epoch.load_relaxed(), features.load_relaxed()));
    thread.join().unwrap();
    (state, beside)
}

fn line<M: SharedMemory>(memory: &M, line: &ControlLayout) -> [M::Word; 3] {
    [line.state, line.epoch, line.features].map(|at| memory.word(at).expect("inside the memory"))
}
