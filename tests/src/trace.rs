//! Memory that writes down every access, with the party and the step that it belongs to.

use crate::{Intercept, Intercepted, InterceptedWord, Order, WordNames};
use knit_ring::{Doorbell, HeapMemory, SharedWord, Ticket, Until, Woken};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Heap memory as one party of a traced exchange sees it.
pub type TraceMemory = Intercepted<Tracer>;

impl TraceMemory {
    /// `inner` as `who` sees it, written down in `log`.
    #[must_use]
    pub fn tracing(inner: &HeapMemory, who: Who, log: &TraceLog) -> Self {
        Self::over(inner, Tracer { who, log: log.clone() })
    }
}

/// One of the two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The host: creates the segment, sends requests.
    Host,
    /// The worker: attaches to it, sends answers.
    Worker,
}

impl Who {
    /// What the traces call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Worker => "worker",
        }
    }
}

/// What the parties did, in order. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct TraceLog(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    step: usize,
    accesses: Vec<Access>,
}

impl TraceLog {
    /// Counts what comes now as part of `step`.
    pub fn begin(&self, step: usize) {
        self.state().step = step;
    }

    /// Every access so far.
    #[must_use]
    pub fn accesses(&self) -> Vec<Access> {
        self.state().accesses.clone()
    }

    fn push(&self, who: Who, op: Op) {
        let mut state = self.state();
        let step = state.step;
        state.accesses.push(Access { who, step, op });
    }

    /// Adds a piece to a run of bytes: to the one before, where it goes on there.
    fn push_bytes(&self, who: Who, at: u32, bytes: &[u8], new: impl FnOnce(Run) -> Op) {
        let mut state = self.state();
        let step = state.step;
        let op = new(Run { at, bytes: bytes.to_vec() });
        if let Some(last) =
            state.accesses.last_mut().filter(|last| (last.who, last.step) == (who, step))
            && let (Op::Read(run), Op::Read(_)) | (Op::Write(run), Op::Write(_)) =
                (&mut last.op, &op)
            && run.at as usize + run.bytes.len() == at as usize
        {
            run.bytes.extend(bytes);
            return;
        }
        state.accesses.push(Access { who, step, op });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One access of shared memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whose.
    pub who: Who,
    /// The step of the script that it belongs to.
    pub step: usize,
    /// What it is.
    pub op: Op,
}

/// What an access is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A load of a word.
    Load(Word),
    /// A store of a word.
    Store(Word),
    /// A full fence.
    Fence,
    /// A copy of bytes out of the segment.
    Read(Run),
    /// A copy of bytes into the segment.
    Write(Run),
    /// A wait while the bell at this byte has this value.
    Wait(u32, u32),
    /// A wake-up of whoever waits on the bell at this byte.
    Wake(u32),
}

/// A word, as it was loaded or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Where it stands, in bytes.
    pub at: u32,
    /// Its value.
    pub value: u32,
    /// The ordering.
    pub order: Order,
}

/// A run of bytes, as it was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where it starts, in bytes.
    pub at: u32,
    /// What it is.
    pub bytes: Vec<u8>,
}

impl Access {
    /// The access as `spec/vectors/trace/` has it.
    #[must_use]
    pub fn json(&self, names: &WordNames) -> Value {
        let word = |op: &str, word: &Word| {
            json!({
                "op": op,
                "word": names.name(word.at),
                "value": format!("{:#010x}", word.value),
                "order": order(word.order),
            })
        };
        let run = |op: &str, run: &Run| {
            let hex: String = run.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "op": op, "at": names.name(run.at), "hex": hex })
        };
        let op = match &self.op {
            Op::Load(loaded) => word("load", loaded),
            Op::Store(stored) => word("store", stored),
            Op::Fence => json!({ "op": "fence" }),
            Op::Read(copied) => run("read", copied),
            Op::Write(copied) => run("write", copied),
            Op::Wait(at, value) => {
                json!({ "op": "wait", "word": names.name(*at), "value": format!("{value:#010x}") })
            }
            Op::Wake(at) => json!({ "op": "wake", "word": names.name(*at) }),
        };
        let mut access = json!({ "who": self.who.name(), "step": self.step });
        let (Value::Object(members), Value::Object(op)) = (&mut access, op) else {
            unreachable!("both are objects")
        };
        members.extend(op);
        access
    }
}

fn order(order: Order) -> &'static str {
    match order {
        Order::Acquire => "acquire",
        Order::Release => "release",
        Order::Relaxed | Order::Bytes(_) => "relaxed",
    }
}

/// Writes down what one party does.
#[derive(Debug)]
pub struct Tracer {
    who: Who,
    log: TraceLog,
}

impl Intercept for Tracer {
    fn load(&self, at: u32, value: u32, order: Order) -> u32 {
        match order {
            Order::Bytes(count) => {
                self.log.push_bytes(self.who, at, &value.to_ne_bytes()[..count], Op::Read);
            }
            _ => self.log.push(self.who, Op::Load(Word { at, value, order })),
        }
        value
    }

    fn store(&self, at: u32, value: u32, order: Order) -> bool {
        match order {
            Order::Bytes(count) => {
                self.log.push_bytes(self.who, at, &value.to_ne_bytes()[..count], Op::Write);
            }
            _ => self.log.push(self.who, Op::Store(Word { at, value, order })),
        }
        true
    }

    fn fence(&self) {
        self.log.push(self.who, Op::Fence);
    }
}

/// A doorbell that writes down waits and wake-ups, and never waits.
#[derive(Clone, Debug)]
pub struct TraceBell {
    /// Who uses it.
    pub who: Who,
    /// Where it is written down.
    pub log: TraceLog,
}

impl Doorbell<InterceptedWord<Tracer>> for TraceBell {
    fn ticket(&self, bell: &InterceptedWord<Tracer>) -> Ticket {
        Ticket { bell: bell.load_acquire(), local: 0 }
    }

    fn wait_any(&self, bells: &[(&InterceptedWord<Tracer>, Ticket)], _: Until<'_>) -> Woken {
        for (bell, ticket) in bells {
            self.log.push(self.who, Op::Wait(bell.at(), ticket.bell));
        }
        Woken::Rung
    }

    fn wake(&self, bell: &InterceptedWord<Tracer>) {
        self.log.push(self.who, Op::Wake(bell.at()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_proto::{Span, WordOffset};
    use knit_ring::{SharedBytes, SharedMemory};

    #[test]
    fn orders_fences_and_runs_are_written_down() {
        let log = TraceLog::default();
        let heap = HeapMemory::zeroed(64).unwrap();
        let memory = TraceMemory::tracing(&heap, Who::Host, &log);
        let word = memory.word(WordOffset::new(32).unwrap()).unwrap();
        let bytes = memory.bytes(Span::new(0, 32).unwrap()).unwrap();
        bytes.deposit(4, b"hello").unwrap();
        word.store_release(7);
        memory.full_fence();
        log.begin(1);
        assert_eq!(word.load_acquire(), 7);
        let mut copy = [0; 5];
        bytes.snapshot(4, &mut copy).unwrap();
        bytes.snapshot(4, &mut copy).unwrap();
        let run = || Run { at: 4, bytes: b"hello".to_vec() };
        let ops = [
            (0, Op::Write(run())),
            (0, Op::Store(Word { at: 32, value: 7, order: Order::Release })),
            (0, Op::Fence),
            (1, Op::Load(Word { at: 32, value: 7, order: Order::Acquire })),
            (1, Op::Read(run())),
            (1, Op::Read(run())),
        ];
        let expected = ops.map(|(step, op)| Access { who: Who::Host, step, op });
        assert_eq!(log.accesses(), expected);
    }
}
