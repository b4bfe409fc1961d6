//! A host in a process of its own that ends itself instead of its n-th store to shared memory: its worker ends, no task
//! has run twice, nothing is left, and the next host starts at once.
//!
//! The pool has no place for such a memory. This host is made by hand, of the same [`HostLane`]: it makes the segment, starts a worker of the crate, makes
//! calls of all forms, gives one up, and closes the lane. Its stores are the same each time, but for those that wake its worker.

use super::host::settle;
use super::leaks::{Holdings, is_gone, is_stopped, until_gone};
use super::ledger::{Event, Ledger, Truth};
use super::load::{MARK, NUMBERS, numbers};
use super::report::Report;
use super::round::until;
use super::worker::{End, end};
use super::{DEADLINE, Plan, Random, Way};
use crate::Intercepted;
use knit_codec::Encode;
use knit_lanes::{BOOT_ENV, Boot, HostLane, Limits};
use knit_proto::{
    CreatorId, ExtensionBytes, Features, Geometry, HeaderFields, LaneKind, Layout, Version,
};
use knit_ring::{Doorbell, FutexBell, Mapped, Mapping, SharedMemory, create_segment};
use rustix::process::{Pid, Signal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The ways in which such a host ends.
pub const WAYS: [Way; 4] = [Way::Kill, Way::Abort, Way::Exit, Way::Stop];

/// Calls that are under way at the same time, and the bytes of each beside the two numbers: in the slot, and in the arena.
const BATCHES: [&[usize]; 3] = [&[4], &[60, 505, 0], &[700, 4]];
/// The call that is given up.
const GIVEN_UP: u32 = 4;
/// All calls.
const CALLS: u32 = 6;
/// Most stores that are made or not: the bell is advanced where the worker sleeps, for a call, for an abort, for a block that is free again.
const WAKES: u64 = 2 * CALLS as u64 + 1;

type Memory = Intercepted<End, Mapped<Mapping>>;

/// What the host process does: ends itself instead of the store after `stores`, or comes to its end and prints how many there were.
///
/// # Panics
///
/// Something is not as the worker makes it.
pub fn serve(path: &Path, stores: u64, way: Way) -> ! {
    let ledger = Ledger::open(path).expect("the ledger can be opened");
    let boot = Boot::new(1, 0, &Limits::default(), 50, vec![MARK.to_owned()]);
    let geometry = Geometry::new(1 << 20, 1 << 20, 32).expect("multiples of 64");
    let bytes = ExtensionBytes::MIN.lane_block_at() + geometry.block_bytes();
    let mapped = Mapping::create(bytes).expect("memory");
    let memory = Intercepted::over(&mapped, End::new(way));
    memory.by().arm(stores);
    let fields = HeaderFields {
        version: Version::CURRENT,
        required: Features::FUTEX_BELLS,
        optional: Features::STAMPS.or(Features::JOURNAL),
        epoch: 1,
        creator: CreatorId { pid: std::process::id(), start_time: 0, boot: 0 },
        kind: LaneKind::Process,
        geometry,
        extension: ExtensionBytes::MIN,
        tasks: boot.tasks_hash(),
        request_reserved: 0,
        response_reserved: 0,
    };
    let layout = create_segment(&memory, &fields).expect("it is large enough");
    HostLane::announce(&memory, &layout, std::process::id()).expect("inside");
    let mut worker = start_worker(path, &boot, &mapped);
    let lane = wait_for(|| HostLane::connect(&memory, &layout, boot.max_payload).expect("honest"));
    Host { lane, mapped, layout, ledger, limits: boot.limits() }.call_all();
    assert!(worker.wait().expect("a child").success(), "the worker ends when it is asked to");
    println!("{}", memory.by().count());
    std::process::exit(0)
}

fn start_worker(path: &Path, boot: &Boot, memory: &Mapped<Mapping>) -> Child {
    let file = memory.backing().file().try_clone_to_owned().expect("a descriptor");
    Command::new(std::env::current_exe().expect("Linux"))
        .arg("steady")
        .arg(path)
        .arg("0")
        .env(BOOT_ENV, boot.to_json().expect("one short name"))
        .stdin(file)
        .stdout(Stdio::null())
        .spawn()
        .expect("this program runs")
}

/// Polls: this host never sleeps, so that no store is hidden from its memory.
fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < DEADLINE, "the worker answers");
        std::thread::yield_now();
    }
}

struct Host {
    lane: HostLane<Memory>,
    mapped: Mapped<Mapping>,
    layout: Layout,
    ledger: Ledger,
    limits: Limits,
}

impl Host {
    fn call_all(mut self) {
        let mut number = 0;
        for batch in BATCHES {
            for len in batch {
                self.call(number, *len);
                number += 1;
            }
            for _ in 0..batch.len() {
                self.take();
            }
        }
        assert_eq!(number, CALLS);
        self.lane.close();
        self.wake();
    }

    fn call(&mut self, number: u32, len: usize) {
        // The task has no work to do: the second number.
        let mut argument = [number.to_le_bytes(), [0; 4]].concat();
        argument.resize(NUMBERS + len, number as u8);
        let payload = argument.encode(&self.limits).expect("below the limits");
        self.ledger.note(number, Event::Made);
        let submitted = self.lane.submit(0, &payload).expect("there is room");
        if number == GIVEN_UP {
            // Its task may or may not see it, and answers.
            self.lane.abort(submitted.call);
        }
        if submitted.wake {
            self.wake();
        }
    }

    fn take(&mut self) {
        let answer = wait_for(|| self.lane.poll().expect("the worker is honest"));
        if answer.wake {
            self.wake();
        }
        if !answer.rejected {
            let [number, _] = numbers(answer.payload.as_bytes()).expect("as `mark` answers");
            self.ledger.note(number, Event::Finished);
        }
    }

    fn wake(&self) {
        let bell = self.mapped.word(self.layout.host_control().bell).expect("inside");
        FutexBell.wake(&bell);
    }
}

/// How many stores a host makes that comes to its end.
///
/// # Errors
///
/// What went wrong.
pub fn count(plan: &Plan) -> Result<u64, String> {
    let path = plan.directory.join(format!("ledger-{}-count", std::process::id()));
    let stores = start(&path, u64::MAX, Way::Kill).and_then(whole);
    let _ = std::fs::remove_file(path);
    stores
}

/// Starts a host that ends itself instead of the store after `stores`, of about as many as `of`, and looks at what is left.
pub fn run(plan: &Plan, report: &mut Report, stores: u64, way: Way, of: u64) {
    let name = format!("ledger-{}-step-{stores}-{}", std::process::id(), way as u32);
    let path = plan.directory.join(&name);
    // Its ledger's name begins with the other one's: whoever looks for processes finds both.
    let next = plan.directory.join(format!("{name}-next"));
    let before = Holdings::now();
    let wrong = report.wrong.len();
    let last = of.saturating_sub(WAKES);
    let died = die(&path, stores, way, last).and_then(|since| {
        let Some(since) = since else { return Ok(()) };
        // At once: whatever is left of the dead one must not be in its way.
        let next_host = start(&next, u64::MAX, Way::Kill)?;
        let ended = until_ended(&path, since, report);
        let served = whole(next_host).and_then(|_| Truth::read(&next));
        ended?;
        let truth = Truth::read(&path)?;
        report.kill("host, at its n-th store", Some(way), 1);
        settle(report, stores, &truth);
        let served = served.map_err(|error| format!("the next host: {error}"))?;
        let finished: u32 = (0..CALLS).map(|call| served.count(call, Event::Finished)).sum();
        // The one that was given up may have been refused by its worker.
        if finished + 1 < CALLS {
            Err(format!("the next host has {finished} answers"))
        } else {
            Ok(())
        }
    });
    report.wrong.extend(died.err());
    let gone = until_gone(&path.display().to_string());
    report.wrong.extend([gone, before.until_back()].into_iter().filter_map(Result::err));
    for wrong in &mut report.wrong[wrong..] {
        *wrong = format!("host, {way:?} at store {stores}: {wrong}");
    }
    [path, next].iter().for_each(|path| drop(std::fs::remove_file(path)));
}

/// Waits for the end of the worker of a host that ended at `since`, if it had started one.
fn until_ended(path: &Path, since: Instant, report: &mut Report) -> Result<(), String> {
    let workers = || Truth::read(path).map_or_else(|_| Default::default(), |truth| truth.workers);
    until("its worker is gone", || workers().iter().all(|worker| is_gone(*worker)))?;
    if !workers().is_empty() {
        report.orphaned.push(since.elapsed());
    }
    Ok(())
}

/// Has a host end. When that was; `None` when it came to its end before, which no host does that ends at a store before `last`.
fn die(path: &Path, stores: u64, way: Way, last: u64) -> Result<Option<Instant>, String> {
    let mut host = start(path, stores, way)?;
    let outcome = until("the host ends", || {
        if way == Way::Stop && is_stopped(host.id()) {
            // Not to wait for anything: any moment will do.
            std::thread::sleep(Duration::from_micros(Random::new(stores).below(3000).into()));
            let _ = rustix::process::kill_process(Pid::from_child(&host), Signal::KILL);
        }
        is_gone(host.id())
    });
    let since = Instant::now();
    if outcome.is_err() {
        let _ = host.kill();
    }
    let status = host.wait().map_err(|error| error.to_string())?;
    outcome?;
    let expected = match way {
        Way::Exit => status.code() == Some(3),
        Way::Abort => status.signal() == Some(Signal::ABORT.as_raw()),
        _ => status.signal() == Some(Signal::KILL.as_raw()),
    };
    match expected {
        true => Ok(Some(since)),
        false if status.success() && stores >= last => Ok(None),
        false => Err(format!("the host: {status}")),
    }
}

/// Waits for the end of a host that makes all its calls. How many stores it made.
fn whole(host: Child) -> Result<u64, String> {
    let output = host.wait_with_output().map_err(|error| error.to_string())?;
    if !ExitStatus::success(&output.status) {
        return Err(output.status.to_string());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|error| format!("{text:?}: {error}"))
}

fn start(path: &Path, stores: u64, way: Way) -> Result<Child, String> {
    let index = WAYS.iter().position(|known| *known == way).ok_or("no way of its own")?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    Command::new(program)
        .arg("steps")
        .arg(path)
        .args([stores.to_string(), index.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())
}

/// Ends this process, or stops it until somebody else does.
pub fn end_or_stop(way: Way) -> ! {
    if way != Way::Stop {
        end(way);
    }
    loop {
        // Goes on only when somebody continues it.
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
    }
}
