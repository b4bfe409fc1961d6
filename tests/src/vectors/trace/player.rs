//! Two parties that do what a script says, over memory that writes it down.

use super::step::{Message, Step, inline_len, message, payload};
use crate::{Access, TraceBell, TraceLog, TraceMemory, Who, WordNames};
use knit_codec::Payload;
use knit_lanes::{CallId, HostLane, LaneError, MonotonicTime, SendError, WorkerLane};
use knit_proto::{
    BlockIndex, Direction, Features, HeaderFields, LaneState, Layout, ProtocolViolation, SlotRules,
    Span,
};
use knit_ring::{
    ArenaError, ArenaReceiver, ArenaSender, AttachError, BatchError, ClaimError, Doorbell,
    HeapMemory, Notifier, Receiver, SegmentError, Sender, SharedBytes, SharedMemory, Stamps, Taken,
    Waiter, attach_segment, create_segment,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Payload limit of both ends: all that an arena of 4096 bytes takes.
pub(super) const MAX_PAYLOAD: u32 = 4032;
const HOST_PID: u32 = 100;
const WORKER_PID: u32 = 200;
/// What the worker supports: all that needs nothing beside the segment.
const SUPPORTED: Features = Features::SUPPORTED.or(Features::WITHDRAW).or(Features::DEADLINES);
/// The same without what takes the host's clock. LANE-48.
const WITHOUT_CLOCK: Features = Features::SUPPORTED.or(Features::WITHDRAW);
const FITS: &str = "the layout fits the memory";

/// The parties, what they have at hand, and what they did so far.
pub(super) struct Player {
    heap: HeapMemory,
    log: TraceLog,
    layout: Layout,
    host: Party,
    worker: Party,
    host_lane: Option<HostLane<TraceMemory>>,
    worker_lane: Option<WorkerLane<TraceMemory>>,
    /// The calls that the host has sent, by their ids.
    calls: BTreeMap<u32, CallId>,
    sender: Sender<TraceMemory>,
    receiver: Receiver<TraceMemory>,
    arena_sender: ArenaSender<TraceMemory>,
    arena_receiver: ArenaReceiver<TraceMemory>,
    notifier: Notifier<TraceMemory>,
}

struct Party {
    memory: TraceMemory,
    bell: TraceBell,
    waiter: Waiter<TraceMemory>,
}

impl Player {
    /// Both parties over zeroed memory; they know the layout. `stamps` is for the steps that are
    /// about mailbox and arena alone.
    pub(super) fn new(fields: HeaderFields, stamps: Stamps) -> Self {
        let layout = Layout::new(fields);
        let heap = HeapMemory::zeroed(layout.len()).expect("memory for a small segment");
        let log = TraceLog::default();
        let party = |who, waiter: fn(&TraceMemory, &Layout) -> Result<Waiter<_>, AttachError>| {
            let memory = TraceMemory::tracing(&heap, who, &log);
            let bell = TraceBell { who, log: log.clone() };
            Party { waiter: waiter(&memory, &layout).expect(FITS), memory, bell }
        };
        let host = party(Who::Host, HostLane::waiter);
        let worker = party(Who::Worker, WorkerLane::waiter);
        let (mailbox, arena) =
            (layout.mailbox(Direction::Request), layout.arena(Direction::Request));
        let (mine, theirs) = (layout.host_control(), layout.worker_control());
        Self {
            sender: Sender::new(&host.memory, mailbox, stamps).expect(FITS),
            receiver: Receiver::new(&worker.memory, mailbox, stamps).expect(FITS),
            arena_sender: ArenaSender::new(&host.memory, &arena, fields.request_reserved)
                .expect(FITS),
            arena_receiver: ArenaReceiver::new(&worker.memory, &arena).expect(FITS),
            notifier: Notifier::new(&host.memory, &mine, &theirs).expect(FITS),
            host_lane: None,
            worker_lane: None,
            calls: BTreeMap::new(),
            heap,
            log,
            layout,
            host,
            worker,
        }
    }

    /// Does one step; what it gives.
    pub(super) fn play(&mut self, number: usize, step: &Step) -> Value {
        self.log.begin(number);
        match step {
            Step::Create => {
                create_segment(&self.host.memory, self.layout.fields()).expect(FITS);
                Value::Null
            }
            Step::Attach => match attach_segment(&self.worker.memory) {
                Ok(layout) => {
                    assert_eq!(layout, self.layout, "the reader reads what the creator wrote");
                    "attached".into()
                }
                Err(SegmentError::Header(error)) => error.name().into(),
                Err(error) => panic!("{error}"),
            },
            Step::Announce => {
                HostLane::announce(&self.host.memory, &self.layout, HOST_PID).expect(FITS);
                Value::Null
            }
            Step::Open => self.open(SUPPORTED),
            Step::OpenApart => self.open(WITHOUT_CLOCK),
            Step::Connect => self.connect(),
            Step::Abandon => match self.sender.claim() {
                Ok(claim) => json!({ "slot": claim.slot().get() }),
                Err(error) => full(&error),
            },
            Step::Send(message) => self.send(message),
            Step::Batch(messages) => self.batch(messages),
            Step::Take => {
                let taken = self.receiver.take().expect("the host follows the rules");
                taken.map(|taken| read(&self.layout, taken)).into()
            }
            Step::Poll => {
                let taken = self.receiver.poll().expect("the host follows the rules");
                taken.map(|taken| read(&self.layout, taken)).into()
            }
            Step::Release => {
                self.receiver.release();
                Value::Null
            }
            Step::Allocate(bytes) => self.allocate(bytes),
            Step::Read(start, len) => {
                let mut bytes = vec![0; *len as usize];
                self.arena_receiver.snapshot(*start, &mut bytes).expect("scripts stay inside");
                crate::vectors::build::hex(&bytes).into()
            }
            Step::Free(block) => {
                self.arena_receiver.free(BlockIndex::from_low_bits(*block));
                Value::Null
            }
            Step::Notify => {
                if self.notifier.notify() {
                    self.host.bell.wake(self.notifier.bell());
                }
                Value::Null
            }
            Step::Park(who) => self.park(*who),
            Step::WakeUp(who) => {
                self.party(*who).waiter.retract();
                Value::Null
            }
            Step::Submit(function, argument) => self.submit(*function, argument, None),
            Step::SubmitUntil(function, argument, until) => {
                self.submit(*function, argument, Some(*until))
            }
            Step::Withdraw(calls) => {
                let calls: Vec<_> = calls.iter().map(|call| self.calls[call]).collect();
                not_begun(&open(&mut self.host_lane).withdraw(&calls))
            }
            Step::Settle => not_begun(&open(&mut self.host_lane).settle()),
            Step::Serve => self.serve(),
            Step::Deadline(call) => {
                let deadline = open(&mut self.worker_lane).deadline(*call);
                deadline.map(|until| until.nanoseconds().to_string()).into()
            }
            Step::GiveBack(call) => {
                let (bell, lane) = (&self.worker.bell, open(&mut self.worker_lane));
                if lane.respond_withdrawn(*call).expect("there is room") {
                    bell.wake(lane.bell());
                }
                Value::Null
            }
            Step::Answer(call, rejected, value) => {
                let (bell, lane) = (&self.worker.bell, open(&mut self.worker_lane));
                if lane.respond(*call, *rejected, value).expect("there is room") {
                    bell.wake(lane.bell());
                }
                Value::Null
            }
            Step::Collect => self.collect(),
            Step::Look(who) => self.look(*who),
            Step::Close(who) => {
                self.close(*who);
                Value::Null
            }
        }
    }

    /// Every access so far.
    pub(super) fn trace(&self, names: &WordNames) -> Value {
        self.log.accesses().iter().map(|access| Access::json(access, names)).collect()
    }

    /// Every word that is not zero.
    pub(super) fn memory(&self, names: &WordNames) -> Value {
        let mut words = vec![0; self.layout.len() as usize / 4];
        let all = Span::new(0, self.layout.len()).expect("the length of a segment");
        self.heap.bytes(all).expect(FITS).load_words(0, &mut words).expect(FITS);
        let words = (0..).step_by(4).zip(words).filter(|(_, word)| *word != 0);
        let name = |(at, word)| json!({ "word": names.name(at), "value": format!("{word:#010x}") });
        words.map(name).collect()
    }

    fn party(&mut self, who: Who) -> &mut Party {
        match who {
            Who::Host => &mut self.host,
            Who::Worker => &mut self.worker,
        }
    }

    fn open(&mut self, supported: Features) -> Value {
        let (memory, layout) = (&self.worker.memory, &self.layout);
        match WorkerLane::open_with(memory, layout, MAX_PAYLOAD, WORKER_PID, supported) {
            Ok(lane) => {
                self.worker.bell.wake(lane.bell());
                self.worker_lane = Some(lane);
                "open".into()
            }
            Err(LaneError::Violation(violation)) => violation.name().into(),
            Err(error) => panic!("{error}"),
        }
    }

    fn connect(&mut self) -> Value {
        match HostLane::connect(&self.host.memory, &self.layout, MAX_PAYLOAD) {
            Ok(lane) => {
                self.host_lane = lane;
                if self.host_lane.is_some() { "connected".into() } else { "not_yet".into() }
            }
            Err(LaneError::Violation(violation)) => violation.name().into(),
            Err(error) => panic!("{error}"),
        }
    }

    fn send(&mut self, message: &Message) -> Value {
        match self.sender.claim() {
            Ok(claim) => {
                claim.deposit(message.inline).expect("scripts stay inside");
                json!({ "slot": claim.publish(&message.header).get() })
            }
            Err(error) => full(&error),
        }
    }

    fn batch(&mut self, messages: &[Message]) -> Value {
        let mut batch = self.sender.batch();
        for message in messages {
            match batch.add(&message.header, message.inline) {
                Ok(_) => {}
                Err(BatchError::Claim(error)) => return full(&error),
                Err(error) => panic!("{error}"),
            }
        }
        json!({ "slots": format!("{:#010x}", batch.publish().bits()) })
    }

    fn allocate(&mut self, bytes: &[u8]) -> Value {
        match self.arena_sender.loan(super::step::len(bytes)) {
            Ok(mut room) => {
                room.deposit(0, bytes).expect("the block is as long");
                let (block, start) = room.commit();
                json!({ "block": block.get(), "start": start })
            }
            Err(ArenaError::Full) => "full".into(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Goes to sleep: in a lane that is open, waiting for its messages and for the other side's
    /// state, else for the requests of the mailbox.
    fn park(&mut self, who: Who) -> Value {
        let party = self.party(who);
        let ticket = party.waiter.announce(&party.bell);
        let ready = match (who, &mut self.host_lane, &mut self.worker_lane) {
            (Who::Host, Some(lane), _) => lane.is_pending(),
            (Who::Worker, _, Some(lane)) => match lane.host_state() {
                Ok(LaneState::Open) => lane.is_pending(),
                state => state.map(|_| true),
            },
            (Who::Worker, ..) => self.receiver.is_pending(),
            (Who::Host, None, _) => panic!("the host has nothing to wait for"),
        };
        let party = self.party(who);
        if ready.expect("both follow the rules") {
            party.waiter.retract();
            return "ready".into();
        }
        party.bell.wait(party.waiter.bell(), ticket, None);
        "waits".into()
    }

    fn submit(&mut self, function: u16, argument: &Payload<'_>, until: Option<u64>) -> Value {
        let (bell, lane) = (&self.host.bell, open(&mut self.host_lane));
        let until = until.map(MonotonicTime::from_nanoseconds);
        match lane.submit_until(function, argument, until) {
            Ok(submitted) => {
                if submitted.wake {
                    bell.wake(lane.bell());
                }
                self.calls.insert(submitted.call.word(), submitted.call);
                json!({ "call": submitted.call.word() })
            }
            Err(SendError::Full) => "full".into(),
            Err(error) => panic!("{error}"),
        }
    }

    fn serve(&mut self) -> Value {
        let (bell, lane) = (&self.worker.bell, open(&mut self.worker_lane));
        let Some(request) = lane.take().expect("the host follows the rules") else {
            return Value::Null;
        };
        if request.wake {
            bell.wake(lane.bell());
        }
        let mut result = json!({
            "call": request.call,
            "function": request.function,
            "abort": request.abort,
            "payload": payload(&request.payload),
        });
        if request.withdrawn {
            result["withdrawn"] = true.into();
        }
        result
    }

    fn collect(&mut self) -> Value {
        let (bell, lane) = (&self.host.bell, open(&mut self.host_lane));
        let Some(answer) = lane.take().expect("the worker follows the rules") else {
            return Value::Null;
        };
        if answer.wake {
            bell.wake(lane.bell());
        }
        let (call, payload) = (answer.call.word(), payload(&answer.payload));
        if answer.withdrawn {
            return json!({ "call": call, "withdrawn": true, "payload": payload });
        }
        json!({ "call": call, "rejected": answer.rejected, "payload": payload })
    }

    fn look(&mut self, who: Who) -> Value {
        let seen: Result<Value, ProtocolViolation> = match who {
            Who::Worker => {
                let state = open(&mut self.worker_lane).host_state();
                state.map(|state| json!({ "state": state.word() }))
            }
            Who::Host => {
                let pending = open(&mut self.host_lane).is_pending();
                pending.map(|pending| json!({ "pending": pending }))
            }
        };
        seen.unwrap_or_else(|violation| violation.name().into())
    }

    fn close(&mut self, who: Who) {
        match who {
            Who::Host => {
                let lane = open(&mut self.host_lane);
                lane.close();
                self.host.bell.wake(lane.bell());
            }
            Who::Worker => {
                let lane = open(&mut self.worker_lane);
                lane.close();
                self.worker.bell.wake(lane.bell());
            }
        }
    }
}

/// Reads a message of the mailbox, and leaves its release to a later step.
fn read(layout: &Layout, taken: Taken<'_, TraceMemory>) -> Value {
    let geometry = layout.fields().geometry;
    let rules = SlotRules {
        direction: Direction::Request,
        arena_bytes: geometry.arena_data_bytes(Direction::Request),
        max_payload: MAX_PAYLOAD,
        abort_capacity: geometry.abort_capacity(),
    };
    let (slot, raw) = (taken.slot(), taken.header());
    let header = raw.parse(&rules, slot).expect("the host follows the rules");
    let mut inline = vec![0; inline_len(&raw, header.place)];
    taken.snapshot(&mut inline).expect("the header is checked");
    taken.finish();
    json!({ "slot": slot.get(), "message": message(&header, &inline) })
}

/// The calls that the worker does not run for certain.
fn not_begun(calls: &[CallId]) -> Value {
    let ids: Vec<_> = calls.iter().map(|call| call.word()).collect();
    json!({ "not_begun": ids })
}

fn open<T>(lane: &mut Option<T>) -> &mut T {
    lane.as_mut().expect("the script opens the lane first")
}

fn full(error: &ClaimError) -> Value {
    assert_eq!(*error, ClaimError::Full);
    "full".into()
}
