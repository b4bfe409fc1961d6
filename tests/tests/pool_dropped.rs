//! Wakers and tasks that have the last handle of their pool: they drop it on whatever thread they are run. Alone in this process, one
//! at a time: they look for threads.

mod pool_support;

use core::pin::Pin;
use core::task::{Context, Waker};
use knit_lanes::{Call, Inline, Pool, Position, Tasks};
use pool_support::gate::Gate;
use pool_support::process::{kill, this_thread, until_asleep};
use pool_support::worker::{Remote, builder, only_worker, pool, start};
use pool_support::{until, within_deadline};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;
use std::time::Duration;

static ALONE: Mutex<()> = Mutex::new(());

/// What becomes of the pool when the waker runs.
type End = fn(Pool);

struct Owner {
    pool: Mutex<Option<Pool>>,
    end: End,
    /// The name of the thread that ran it.
    ran_on: Sender<String>,
}

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        let pool = self.pool.lock().unwrap().take();
        (self.end)(pool.expect("woken once"));
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = self.ran_on.send(name);
    }
}

/// Polls a call of a pool with a waker that owns it from now on.
fn own(pool: Pool, call: &mut Call<u32>, end: End) -> std::sync::mpsc::Receiver<String> {
    let (ran_on, tells) = channel();
    let waker = Waker::from(Arc::new(Owner { pool: Mutex::new(Some(pool)), end, ran_on }));
    assert!(Pin::new(call).poll(&mut Context::from_waker(&waker)).is_pending());
    tells
}

/// Ends a pool that has this call under way, and perhaps another one. The thread that calls this cannot wait for itself.
fn shut_down(pool: Pool) {
    if let Err(error) = pool.shutdown(Duration::from_secs(600)) {
        assert_eq!((error.calls, error.forked), (1, false));
    }
}

fn until_no_thread_is_left() {
    let is_ours = |thread: std::fs::DirEntry| {
        let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        name.starts_with("knit-")
    };
    until("the threads of the pool have ended", || {
        !std::fs::read_dir("/proc/self/task").unwrap().flatten().any(is_ours)
    });
}

/// A pool whose worker is at a task, and has another call behind it.
fn busy() -> (Pool, Remote, Gate, Call<u32>, pool_support::gate::Held, Call<f64>) {
    let (pool, remote) = pool(1);
    let gate = Gate::new();
    let first = pool.call(remote.hold, gate.path());
    let held = gate.entered();
    let behind = pool.call(remote.square, 3.0);
    (pool, remote, gate, first, held, behind)
}

#[test]
fn a_waker_may_end_its_pool_on_a_thread_of_the_pool() {
    within_deadline(|| {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        for end in [drop as End, shut_down] {
            // The driver reads the answer.
            let (pool, _, _gate, mut first, held, behind) = busy();
            let ran_on = own(pool, &mut first, end);
            drop(held);
            assert_eq!(ran_on.recv().unwrap(), "knit-driver");
            assert!(first.wait().is_ok());
            // The pool drains before it ends.
            assert_eq!(behind.wait().unwrap(), 9.0);
            until_no_thread_is_left();
        }
        // The supervisor finds that the worker has died, and starts another one.
        let (pool, _, _gate, mut first, _held, behind) = busy();
        let worker = only_worker(&pool);
        let ran_on = own(pool, &mut first, drop);
        kill(worker);
        assert_eq!(ran_on.recv().unwrap(), "knit-lane-0");
        assert!(first.wait().is_err());
        assert_eq!(behind.wait().unwrap(), 9.0);
        until_no_thread_is_left();
    });
}

/// The thread that waits for another call has read the answer, and nobody else can listen to its lane.
#[test]
fn a_waker_may_end_its_pool_on_a_thread_that_waits_for_another_call() {
    within_deadline(|| {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        for end in [drop as End, shut_down] {
            // The driver may have come first.
            while ran_by_the_driver(end) {}
        }
    });
}

fn ran_by_the_driver(end: End) -> bool {
    // To wait for a drained pool in the waker would take all of this.
    let (pool, remote) = start(builder(1).drain_timeout(Duration::from_secs(600)));
    let (first_gate, second_gate) = (Gate::new(), Gate::new());
    let mut first = pool.call(remote.hold, first_gate.path());
    let held = first_gate.entered();
    let second = pool.call(remote.hold, second_gate.path());
    let (started, thread) = channel();
    let waits = std::thread::Builder::new().name("waits".to_owned());
    let waits = waits.spawn(move || {
        started.send(this_thread()).unwrap();
        second.wait()
    });
    until_asleep(&thread.recv().unwrap());
    let ran_on = own(pool, &mut first, end);
    drop(held);
    let ran_on = ran_on.recv().unwrap();
    drop(second_gate.entered());
    assert!(waits.unwrap().join().unwrap().is_ok());
    assert!(first.wait().is_ok());
    until_no_thread_is_left();
    assert!(["waits", "knit-driver"].contains(&&*ran_on), "{ran_on}");
    ran_on == "knit-driver"
}

#[test]
fn a_task_may_end_its_pool_in_a_thread_that_runs_it() {
    within_deadline(|| {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let inline = Inline { position: Position::First, batch: 1, threshold: 0 };
        for (end, here) in
            [(drop as End, false), (shut_down, false), (drop, true), (shut_down, true)]
        {
            let slot = Arc::new(Mutex::new(None::<Pool>));
            let taken = Arc::clone(&slot);
            let mut tasks = Tasks::new();
            let end = tasks.add("end", move |n: f64| {
                let pool = taken.lock().unwrap().take().expect("called once");
                end(pool);
                n
            });
            // To wait for a drained pool in its own task would take all of this.
            let builder = Pool::builder().threads(1).drain_timeout(Duration::from_secs(600));
            let builder = if here { builder.inline(inline) } else { builder };
            let pool = builder.start(tasks).unwrap();
            // It waits for the lock until the pool is in its place, whoever runs it.
            let mut place = slot.lock().unwrap();
            let call = pool.call(end, 7.0);
            *place = Some(pool);
            drop(place);
            assert_eq!(call.wait().unwrap(), 7.0);
            until_no_thread_is_left();
        }
    });
}
