//! A worker that serves a Knitting host, beside one that serves a lane without stamps: both are processes
//! that run a typed task, and both sides spin.

use crate::Failure;
use crate::case::Case;
use crate::lane;
use crate::work;
use knit_cli::floor::{Patience, Peer, Plan, Role, Sample};
use knit_lanes::codec::{Limits, Payload};
use knit_lanes::{Boot, HostLane, knitting};
use knit_proto::{
    BareLayout, Direction, Geometry, HeaderFields, Layout, PayloadPlace, Region,
    SIGNALS_RECEIVER_AWAKE_AT, SIGNALS_WAKE_AT, SlotHeader, SlotRules, Tag, Word0,
};
use knit_ring::{
    Doorbell, FutexBell, Mapped, Mapping, Receiver, Sender, SharedMemory, SharedWord, Stamps,
    create_segment,
};

/// A number call of a Knitting host: the case that has a bar.
pub const CALL: &str = "knitting/call/f64";
/// What it is compared with: the same through a lane of this project without stamps.
pub const NATIVE: &str = "lane/call/f64/unstamped";
/// Start of a worker until it has answered its first call: the other bar.
pub const FIRST: &str = "knitting/first_answer";

/// Payload regions in bytes: no case uses them.
const PAYLOAD: u32 = 64 << 10;
const MAX_PAYLOAD: u32 = PAYLOAD / 8;
/// Long enough for no worker to sleep while it is measured.
const SPIN_US: u32 = 1_000_000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::round_trip(NATIVE, 0, |plan| measure(plan, Native::start(plan)?)),
        Case::round_trip(CALL, 0, |plan| measure(plan, Knitting::start(plan)?)),
        Case::round_trip(FIRST, 0, first_answer),
    ]
}

/// Something that squares numbers in another process.
trait Square {
    fn square(&mut self, number: f64) -> Result<f64, Failure>;
}

fn measure(plan: &Plan, mut host: impl Square) -> Result<Sample, Failure> {
    let pinned = plan.cpus.pin_here()?;
    let mut numbers = (0..1000_u32).map(f64::from).cycle();
    let sample = Sample::collect(plan, |calls| {
        for n in numbers.by_ref().take(calls as usize) {
            let found = host.square(n)?;
            if found != n * n {
                return Err(format!("wrong answer: {found}, expected {}", n * n).into());
            }
        }
        Ok::<_, Failure>(())
    });
    drop(pinned);
    sample
}

fn first_answer(plan: &Plan) -> Result<Sample, Failure> {
    let plan = Plan { stretch: Some(1), ..*plan };
    Sample::collect(&plan, |starts| {
        for _ in 0..starts {
            Knitting::start(&plan)?.square(3.0)?;
        }
        Ok(())
    })
}

/// Starts this program as the worker that `variable` says.
fn start(
    plan: &Plan,
    variable: &'static str,
    boot: String,
    memory: &Mapped<Mapping>,
) -> Result<Peer, Failure> {
    // A name of a role lives as long as the program: a few hundred bytes for each start.
    let role = Role { variable, name: boot.leak() };
    Ok(Peer::start_with_memory(role, memory, &plan.cpus)?)
}

struct Native {
    lane: HostLane<Mapped<Mapping>>,
    peer: Peer,
}

impl Native {
    fn start(plan: &Plan) -> Result<Self, Failure> {
        let names = work::names();
        let tasks = names.iter().flat_map(|name| name.bytes().chain([0]));
        // FNV-1a, as the header wants it. SEG-11 and this project's workers.
        let tasks = tasks.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let fields = lane::fields(PAYLOAD, Stamps::Off)?;
        let required = fields.required.or(knit_proto::Features::FUTEX_BELLS);
        let fields = HeaderFields { tasks, required, ..fields };
        let memory = Mapping::create(Layout::new(fields).len())?;
        let layout = create_segment(&memory, &fields)?;
        HostLane::announce(&memory, &layout, std::process::id())?;
        let limits = Limits::default().with_payload(MAX_PAYLOAD);
        let boot = Boot::new(fields.epoch, 0, &limits, SPIN_US, names).to_json()?;
        let mut peer = start(plan, knit_lanes::BOOT_ENV, boot, &memory)?;
        let lane = loop {
            match HostLane::connect(&memory, &layout, MAX_PAYLOAD)? {
                Some(lane) => break lane,
                None => peer.alive()?,
            }
        };
        Ok(Self { lane, peer })
    }
}

impl Square for Native {
    #[inline]
    fn square(&mut self, number: f64) -> Result<f64, Failure> {
        let payload = Payload::scalar(Tag::NUMBER, number.to_bits());
        if self.lane.submit(0, &payload)?.wake {
            FutexBell.wake(self.lane.bell());
        }
        let mut patience = Patience::relaxed();
        loop {
            match self.lane.poll()? {
                Some(answer) if !answer.rejected => {
                    return Ok(f64::from_bits(answer.payload.scalar_bits()));
                }
                Some(answer) => return Err(format!("rejected: {answer:?}").into()),
                None => patience.spin(&mut self.peer)?,
            }
        }
    }
}

/// The host's ends of a bare lane block, with upstream's wake words.
struct Knitting {
    memory: Mapped<Mapping>,
    requests: Sender<Mapped<Mapping>>,
    responses: Receiver<Mapped<Mapping>>,
    rules: SlotRules,
    wake: <Mapped<Mapping> as SharedMemory>::Word,
    awake: <Mapped<Mapping> as SharedMemory>::Word,
    woken: u32,
    call: u32,
    peer: Peer,
}

impl Knitting {
    fn start(plan: &Plan) -> Result<Self, Failure> {
        let geometry = Geometry::new(PAYLOAD, PAYLOAD, 0)?;
        let memory = Mapping::create(geometry.block_bytes())?;
        let places = Region::ALL.map(|region| {
            let (at, bytes) = geometry.region(region);
            (at.into(), bytes.into())
        });
        let layout = BareLayout::new(memory.len(), places, 0)?;
        let peer = start(plan, knitting::BOOT_ENV, boot(geometry), &memory)?;
        let signals = layout.region(Region::Signals);
        let word = |at| signals.word(at).ok_or("the signals are too short");
        let response = Direction::Response;
        Ok(Self {
            requests: Sender::new(&memory, layout.mailbox(Direction::Request), Stamps::Off)?,
            responses: Receiver::new(&memory, layout.mailbox(response), Stamps::Off)?,
            rules: SlotRules {
                direction: response,
                arena_bytes: layout.arena(response).data().len(),
                max_payload: MAX_PAYLOAD,
                abort_capacity: 0,
            },
            wake: memory.word(word(SIGNALS_WAKE_AT)?)?,
            awake: memory.word(word(SIGNALS_RECEIVER_AWAKE_AT)?)?,
            woken: 0,
            call: 0,
            memory,
            peer,
        })
    }
}

impl Square for Knitting {
    #[inline]
    fn square(&mut self, number: f64) -> Result<f64, Failure> {
        let place = PayloadPlace::Scalar(number.to_bits());
        let (word0, call) = (Word0::Call { function: 0, abort: None }, self.call);
        let message = SlotHeader { word0, call, tag: Tag::NUMBER, place };
        self.requests.claim()?.publish(&message);
        self.call = call.wrapping_add(1);
        self.memory.full_fence();
        if self.awake.load_relaxed() == 0 {
            self.woken = self.woken.wrapping_add(1);
            self.wake.store_release(self.woken);
            FutexBell.wake(&self.wake);
        }
        let mut patience = Patience::relaxed();
        loop {
            let Some(taken) = self.responses.poll()? else {
                patience.spin(&mut self.peer)?;
                continue;
            };
            let answer = taken.header().parse(&self.rules, taken.slot())?;
            taken.release();
            match (answer.word0, answer.place) {
                (Word0::Answer { rejected: false }, PayloadPlace::Scalar(bits))
                    if answer.call == call =>
                {
                    return Ok(f64::from_bits(bits));
                }
                _ => return Err(format!("the answer to call {call} is {answer:?}").into()),
            }
        }
    }
}

/// What a Knitting host tells its worker.
fn boot(geometry: Geometry) -> String {
    let size = geometry.block_bytes();
    let place = |region| {
        let (at, bytes) = geometry.region(region);
        format!(
            r#"{{"version":1,"descriptor":{{"version":1,"fd":0,"size":{size},"byteLength":{size},"runtime":"node","kind":"shared-array-buffer"}},"byteOffset":{at},"byteLength":{bytes}}}"#
        )
    };
    let lock = |sector, slots, arena| {
        let (sector, slots, arena) = (place(sector), place(slots), place(arena));
        format!(
            r#"{{"headers":{slots},"headerSlotStrideU32":144,"lockSector":{sector},"payloadSector":{sector},"payload":{arena}}}"#
        )
    };
    let names: Vec<_> = work::names().iter().map(|name| format!("{name:?}")).collect();
    format!(
        r#"{{"version":1,"workerData":{{"sab":{},"list":[],"ids":[],"at":[],"names":[{}],"thread":0,"totalNumberOfThread":1,"startAt":0,"workerOptions":{{"timers":{{"spinMicroseconds":{SPIN_US},"parkMs":1}}}},"lock":{},"returnLock":{}}}}}"#,
        place(Region::Signals),
        names.join(","),
        lock(Region::RequestSector, Region::RequestSlots, Region::RequestArena),
        lock(Region::ResponseSector, Region::ResponseSlots, Region::ResponseArena),
    )
}
