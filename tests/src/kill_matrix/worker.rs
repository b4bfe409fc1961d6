//! The two kinds of workers: the crate's own, and one that ends itself instead of its n-th store.

use super::ledger::{Event, Ledger};
use super::load::{MARK, mark};
use super::steps::end_or_stop;
use super::{Random, Way};
use crate::{Intercept, Intercepted, Order};
use knit_codec::Payload;
use knit_lanes::{Boot, Decode, Encode, Request, SendError, Tasks, WorkerLane};
use knit_proto::{Features, LaneState, Layout};
use knit_ring::{Doorbell, FutexBell, Mapped, Mapping, SharedMemory, attach_segment};
use rustix::process::Signal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Serves as every worker does.
///
/// # Panics
///
/// The ledger cannot be opened; the process was not started as a worker.
pub fn steady(ledger: &Path) -> ! {
    let ledger = Arc::new(Ledger::open(ledger).expect("the ledger can be opened"));
    ledger.note(0, Event::Started);
    let mut tasks = Tasks::new();
    tasks.add(MARK, move |payload: Vec<u8>| mark(&ledger, payload));
    tasks.serve_if_worker();
    panic!("started by hand")
}

/// Serves until it ends itself, at a store and in a way that follow from `seed`, lane and epoch.
///
/// # Panics
///
/// The host breaks the protocol, or something is not as the host makes it.
pub fn dying(ledger: &Path, seed: u64) -> ! {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).expect("Linux");
    let ledger = Ledger::open(ledger).expect("the ledger can be opened");
    ledger.note(0, Event::Started);
    let boot = Boot::from_env().expect("a boot description");
    let mut random = Random::new(seed ^ u64::from(boot.epoch) << 32 ^ (boot.lane as u64) << 56);
    let stores = u64::from(random.below(400));
    // Now and then before it is ready; the pool does not start when its first worker does not.
    let early = boot.epoch > 1 && random.below(8) == 0;
    let end = End::new(random.pick(&Way::INSIDE));
    let file = rustix::stdio::stdin().try_clone_to_owned().expect("a descriptor");
    let memory = Mapping::attach(file).expect("a sealed memfd");
    let layout = attach_segment(&memory).expect("a segment");
    let dying = Intercepted::over(&memory, end);
    if early {
        dying.by().arm(stores % 8);
    }
    let supported = Features::SUPPORTED.or(Features::WITHDRAW);
    let lane =
        WorkerLane::open_with(&dying, &layout, boot.max_payload, std::process::id(), supported);
    let mut worker = Dying { lane: lane.expect("a host"), memory, layout, ledger, boot };
    worker.wake();
    if !early {
        dying.by().arm(stores);
    }
    worker.serve()
}

/// The worker over memory that ends it.
struct Dying {
    lane: WorkerLane<Intercepted<End, Mapped<Mapping>>>,
    memory: Mapped<Mapping>,
    layout: Layout,
    ledger: Ledger,
    boot: Boot,
}

impl Dying {
    fn serve(&mut self) -> ! {
        // It never parks: no store is hidden from the memory, and the host need not wake it.
        while self.lane.host_state().expect("the host is honest") != LaneState::Closing {
            match self.lane.take().expect("the host is honest") {
                Some(request) => self.answer(request),
                None => std::thread::yield_now(),
            }
        }
        self.lane.close();
        self.wake();
        std::process::exit(0)
    }

    fn answer(&mut self, request: Request) {
        if request.wake {
            self.wake();
        }
        if request.withdrawn {
            if self.lane.respond_withdrawn(request.call).expect("the host is honest") {
                self.wake();
            }
            return;
        }
        let limits = self.boot.limits();
        let argument = Vec::<u8>::decode(request.payload, &limits).expect("bytes");
        let answer = mark(&self.ledger, argument);
        let payload = answer.encode(&limits).expect("below the limits");
        while !self.respond(request.call, &payload) {
            std::thread::yield_now();
        }
    }

    /// Whether there was room, or nobody wants the answer any more.
    fn respond(&mut self, call: u32, payload: &Payload<'_>) -> bool {
        match self.lane.respond(call, false, payload) {
            Ok(wake) => {
                if wake {
                    self.wake();
                }
                true
            }
            Err(SendError::Full) => self.lane.host_state() == Ok(LaneState::Closing),
            Err(error) => panic!("{error}"),
        }
    }

    fn wake(&self) {
        let bell = self.memory.word(self.layout.worker_control().bell).expect("inside");
        FutexBell.wake(&bell);
    }
}

/// Lets some stores happen, and ends the process instead of the next one.
#[derive(Debug)]
pub struct End {
    left: AtomicU64,
    count: AtomicU64,
    way: Way,
}

/// So many stores never happen.
const UNARMED: u64 = u64::MAX;

impl End {
    /// Not before it is armed.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self { left: AtomicU64::new(UNARMED), count: AtomicU64::new(0), way }
    }

    /// How many stores there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// So many more stores happen; [`u64::MAX`]: all.
    pub fn arm(&self, stores: u64) {
        self.left.store(stores, Ordering::Relaxed);
    }
}

impl Intercept for End {
    fn store(&self, _: u32, _: u32, _: Order) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        match self.left.load(Ordering::Relaxed) {
            UNARMED => {}
            0 => end_or_stop(self.way),
            left => self.left.store(left - 1, Ordering::Relaxed),
        }
        true
    }
}

/// Ends this process.
pub fn end(way: Way) -> ! {
    match way {
        Way::Exit => std::process::exit(3),
        Way::Abort => std::process::abort(),
        _ => loop {
            // Comes back only while the signal is on its way.
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
        },
    }
}
