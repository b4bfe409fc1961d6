//! Tasks that are futures, and what they wait for. The same table serves worker processes and worker threads.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use knit_lanes::{SharedBuffer, Task, Tasks};
use std::collections::HashMap;
use std::io::Read;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Handles to the tasks of [`table`].
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// Waits until `fire` is called with the same key in the same process.
    pub wait: Task<String, String>,
    /// Ends the wait for a key; whether there was one.
    pub fire: Task<String, bool>,
    /// How many waits for a key were dropped before they ended.
    pub dropped: Task<String, u32>,
    /// Reads a FIFO to its end in a thread of its own.
    pub read: Task<String, u32>,
    /// Yields so many times.
    pub yields: Task<u32, u32>,
    /// Panics when it is polled again.
    pub panics: Task<(), f64>,
    /// Panics before there is a future.
    pub panics_at_once: Task<(), f64>,
    /// Returns an error.
    pub fails: Task<(), f64>,
    /// Its future panics when it is dropped.
    pub panics_in_drop: Task<(), f64>,
    /// Adds one to every byte, after a moment.
    pub bump: Task<SharedBuffer, SharedBuffer>,
    /// Not a future.
    pub square: Task<f64, f64>,
}

/// A table whose tasks run here.
pub fn table() -> (Tasks, Remote) {
    let mut tasks = Tasks::new();
    let remote = Remote {
        wait: tasks.add_async("wait", |key: String| Wait { key, over: false }),
        fire: tasks.add("fire", |key: String| fire(&key)),
        dropped: tasks.add("dropped", |key: String| keys().entry(key).or_default().dropped),
        read: tasks.add_async("read", read),
        yields: tasks.add_async("yields", |times: u32| async move {
            for _ in 0..times {
                yield_once().await;
            }
            times
        }),
        panics: tasks.add_async("panics", |(): ()| async {
            yield_once().await;
            refuse("in a future")
        }),
        panics_at_once: tasks.add_async("panics_at_once", |(): ()| -> Ready { panic!("at once") }),
        fails: tasks.add_async("fails", |(): ()| async {
            yield_once().await;
            Err::<f64, _>(std::io::Error::other("after a moment"))
        }),
        panics_in_drop: tasks.add_async("panics_in_drop", |(): ()| PanicsInDrop),
        bump: tasks.add_async("bump", |buffer: SharedBuffer| async move {
            yield_once().await;
            let bytes: Vec<_> = buffer.to_vec().iter().map(|byte| byte.wrapping_add(1)).collect();
            buffer.write(0, &bytes).map(|()| buffer)
        }),
        square: tasks.add("square", |n: f64| n * n),
    };
    (tasks, remote)
}

type Ready = core::future::Ready<f64>;

#[derive(Default)]
struct Key {
    waker: Option<Waker>,
    fired: bool,
    dropped: u32,
}

fn keys() -> MutexGuard<'static, HashMap<String, Key>> {
    static KEYS: LazyLock<Mutex<HashMap<String, Key>>> = LazyLock::new(Mutex::default);
    KEYS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fire(key: &str) -> bool {
    let waker = {
        let mut keys = keys();
        let key = keys.entry(key.to_owned()).or_default();
        key.fired = true;
        key.waker.take()
    };
    waker.map(Waker::wake).is_some()
}

struct Wait {
    key: String,
    over: bool,
}

impl Future for Wait {
    type Output = String;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<String> {
        let mut keys = keys();
        let key = keys.entry(self.key.clone()).or_default();
        if !key.fired {
            key.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        drop(keys);
        self.over = true;
        Poll::Ready(self.key.clone())
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if !self.over {
            keys().entry(self.key.clone()).or_default().dropped += 1;
        }
    }
}

/// How many bytes there were.
async fn read(path: String) -> u32 {
    let key = format!("read {path}");
    let fired = key.clone();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path);
        file.and_then(|mut file| file.read_to_end(&mut bytes)).expect("the test made the FIFO");
        fire(&fired);
    });
    Wait { key, over: false }.await;
    0
}

struct PanicsInDrop;

impl Future for PanicsInDrop {
    type Output = f64;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<f64> {
        Poll::Pending
    }
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("in drop");
    }
}

fn refuse(text: &str) -> f64 {
    panic!("{text}")
}

pub(crate) async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
