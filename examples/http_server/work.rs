//! What the workers do.

use knit_lanes::codec::JsonText;
use knit_lanes::{Aborted, Json, Pool, Task, TaskContext, Tasks, UnknownTask};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The tasks, by their handles.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub words: Task<String, Json<Words>>,
    pub crc32: Task<Vec<u8>, u32>,
    timeout: Option<Duration>,
}

/// What a text consists of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Words {
    pub lines: usize,
    pub words: usize,
    pub characters: usize,
}

/// Numbers from the first to the last, both included.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    from: u64,
    to: u64,
}

/// The primes among some numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
struct Primes {
    count: u64,
    largest: Option<u64>,
}

/// The table of both sides.
pub fn tasks() -> (Tasks, Work) {
    let mut tasks = Tasks::new();
    let words = tasks.add("words", |text: String| Json(words(&text)));
    let crc32 = tasks.add("crc32", |bytes: Vec<u8>| crc32(&bytes));
    tasks.add_with_context("primes", |context: &TaskContext<'_>, Json(numbers)| {
        primes(context, numbers).map(Json)
    });
    // Ctrl-c in a terminal is sent to every process of its group: it is meant for the server, which still has answers to give.
    tasks.warm_up(|| rustix::process::setpgid(None, None));
    (tasks, Work { words, crc32, timeout: None })
}

impl Work {
    /// The same tasks, each with a time limit.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self {
            words: self.words.with_timeout(timeout),
            crc32: self.crc32.with_timeout(timeout),
            timeout: Some(timeout),
        }
    }

    /// The task that finds primes, for JSON that the host hands on and never parses: it is the worker that looks what is in there.
    pub fn primes(self, pool: &Pool) -> Result<Task<JsonText, JsonText>, UnknownTask> {
        let task: Task<JsonText, JsonText> = pool.task("primes")?;
        Ok(self.timeout.map_or(task, |timeout| task.with_timeout(timeout)))
    }
}

fn words(text: &str) -> Words {
    Words {
        lines: text.lines().count(),
        words: text.split_whitespace().count(),
        characters: text.chars().count(),
    }
}

/// The checksum of zip, gzip and PNG.
fn crc32(bytes: &[u8]) -> u32 {
    let of_byte = |mut rest: u32| {
        for _ in 0..8 {
            rest = if rest & 1 == 1 { rest >> 1 ^ 0xedb8_8320 } else { rest >> 1 };
        }
        rest
    };
    !bytes.iter().fold(!0, |sum, byte| of_byte((sum ^ u32::from(*byte)) & 0xff) ^ sum >> 8)
}

/// How many numbers are tried between two looks whether anybody still wants to know.
const NUMBERS_PER_LOOK: u64 = 1024;

fn primes(context: &TaskContext<'_>, Numbers { from, to }: Numbers) -> Result<Primes, Aborted> {
    let mut found = Primes::default();
    for n in from..=to {
        if n.is_multiple_of(NUMBERS_PER_LOOK) {
            context.check()?;
        }
        if is_prime(n) {
            found = Primes { count: found.count + 1, largest: Some(n) };
        }
    }
    Ok(found)
}

fn is_prime(n: u64) -> bool {
    n >= 2 && (2..).take_while(|d| *d <= n / d).all(|d| !n.is_multiple_of(d))
}
