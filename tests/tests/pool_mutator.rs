//! A second process writes random words over the whole segment of one lane while calls go on: H1, H2, H12, KD-14,
//! KD-16. The host neither crashes nor hangs, the other lanes deliver every call right, and the lane gets a new
//! worker each time.
//!
//! `KNIT_MUTATOR_SECONDS` makes it last longer, `KNIT_MUTATOR_SEED` chooses other words.

mod pool_support;

use knit_lanes::codec::Limits;
use knit_lanes::{CallError, Pool, Task, Tasks};
use pool_support::process::kill_if_there;
use pool_support::{DEADLINE, Random, bytes, fresh_path, until, within};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_knit-test-mutator");
/// How long the mutator is at work unless it is told otherwise.
const SECONDS: u64 = 6;
/// How long a call may take: on the lane that is written over it may be lost. Many times what one takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Threads that call.
const CALLERS: u64 = 2;

type Stamp = Task<Vec<u8>, Vec<u8>>;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What was sent as call `number`: its number, and bytes that follow from it.
fn sent(number: u64) -> Vec<u8> {
    let len = Random::new(number).below(4000);
    let mut sent = number.to_le_bytes().to_vec();
    sent.extend(bytes(number, len));
    sent
}

/// Whether an answer is a process id and then what was sent; the id.
fn right(number: u64, answer: &[u8]) -> Option<u32> {
    let (pid, rest) = answer.split_first_chunk::<4>()?;
    (rest == sent(number)).then(|| u32::from_le_bytes(*pid))
}

/// Calls until the mutator has ended. Which worker answered each call right; nobody where it was not.
fn call_until(over: &dyn Fn() -> bool, pool: &Pool, task: Stamp, caller: u64) -> Vec<Option<u32>> {
    let mut outcomes = Vec::new();
    while !over() {
        let first = outcomes.len() as u64;
        let numbers = (first..first + 48).map(|n| n * CALLERS + caller);
        let calls: Vec<_> = numbers.map(|number| (number, pool.call(task, sent(number)))).collect();
        for (number, call) in calls {
            outcomes.push(match call.wait() {
                Ok(answer) => right(number, &answer),
                // Of the lane that is written over; the log says whether it was.
                Err(CallError::Answer(_) | CallError::Task(_) | CallError::TimedOut { .. }) => None,
                Err(
                    CallError::Violation { lane: 0, .. } | CallError::WorkerDied { lane: 0, .. },
                ) => None,
                Err(error) => panic!("call {number}: {error:?}"),
            });
        }
    }
    outcomes
}

/// The calls that each worker has noted.
fn logs(folder: &str) -> BTreeMap<u32, Vec<u64>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let pid = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let numbers = std::fs::read(&path).unwrap();
            let numbers = numbers.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
            (pid, numbers.collect())
        })
        .collect()
}

/// KD-16: a peer may write every word at any moment, requests that are out among them.
#[test]
fn random_words_over_a_whole_segment_harm_that_lane_only() {
    let seconds = setting("KNIT_MUTATOR_SECONDS", SECONDS);
    let seed = setting("KNIT_MUTATOR_SEED", 1);
    println!("seed {seed}, {seconds} s");
    within(DEADLINE + Duration::from_secs(seconds), move || {
        let folder = fresh_path("mutator");
        std::fs::create_dir(&folder).unwrap();
        let mut tasks = Tasks::new();
        let task: Stamp = tasks.declare("stamp");
        let pool = Pool::builder()
            .command(PROGRAM, ["serve", &folder])
            .processes(3)
            // Small, so that what is written over is often in use.
            .arena_bytes(256 << 10)
            .limits(Limits::default().with_payload(16 << 10))
            .hard_timeout(Duration::from_millis(300))
            .start(tasks)
            .unwrap();
        let honest: BTreeSet<_> = pool.worker_ids()[1..].iter().copied().collect();

        let host = std::process::id().to_string();
        let time = (seconds * 1000).to_string();
        let mut mutator = Command::new(PROGRAM);
        mutator.args(["mutate", &host, &time, &seed.to_string()]).stdout(Stdio::piped());
        let mut mutator = Mutator(mutator.spawn().unwrap());
        let over = std::sync::OnceLock::new();
        let (outcomes, told) = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let (pool, over) = (&pool, &over);
                    scope.spawn(move || {
                        let task = task.with_timeout(TIMEOUT);
                        call_until(&|| over.get().is_some(), pool, task, caller)
                    })
                })
                .collect();
            let told = mutator.told();
            over.set(()).unwrap();
            let callers = callers.into_iter().map(|caller| caller.join().unwrap());
            (callers.collect::<Vec<_>>(), told)
        });
        let [segments, words, last] = told;
        assert!(segments >= 2, "{segments} segments: nobody was replaced");

        // What reached an honest worker was answered right by that worker, and by it only.
        let mut seen = BTreeSet::new();
        for (pid, numbers) in logs(&folder).iter().filter(|(pid, _)| honest.contains(pid)) {
            for number in numbers {
                let (at, caller) = (number / CALLERS, number % CALLERS);
                let outcome = outcomes[caller as usize][at as usize];
                assert_eq!(outcome, Some(*pid), "call {number} of worker {pid}");
                assert!(seen.insert(*number), "call {number} has run twice");
            }
        }
        let calls: usize = outcomes.iter().map(Vec::len).sum();
        let wrong = outcomes.iter().flatten().filter(|outcome| outcome.is_none()).count();
        println!(
            "{words} words over {segments} segments; {calls} calls, {} by the other lanes, {wrong} not right",
            seen.len()
        );
        assert!(seen.len() > 100, "the other lanes have served {} calls", seen.len());

        // The last victim may live on with damage that nobody has met yet, or die of it just now.
        if pool.worker_ids().contains(&last) {
            kill_if_there(last);
        }
        let mut number = 1 << 40;
        until("three workers answer, those of the other lanes among them", || {
            let calls: Vec<_> =
                (number..number + 96).map(|n| (n, pool.call(task, sent(n)))).collect();
            number += 96;
            let pids = calls.into_iter().filter_map(|(n, call)| match call.wait() {
                Ok(answer) => {
                    Some(right(n, &answer).expect("nobody writes over anything any more"))
                }
                // It had not ended yet when it was given the call.
                Err(
                    CallError::WorkerDied { lane: 0, .. } | CallError::Violation { lane: 0, .. },
                ) => None,
                Err(error) => panic!("call {n}: {error:?}"),
            });
            let pids: BTreeSet<_> = pids.collect();
            pids.len() == 3 && pids.is_superset(&honest)
        });
        drop(pool);
        std::fs::remove_dir_all(folder).unwrap();
    });
}

/// Ends with the test.
struct Mutator(Child);

impl Mutator {
    /// Segments, words, and the last worker, once it has ended.
    fn told(&mut self) -> [u32; 3] {
        let mut text = String::new();
        std::io::Read::read_to_string(self.0.stdout.as_mut().unwrap(), &mut text).unwrap();
        assert!(self.0.wait().unwrap().success());
        let numbers: Vec<u32> =
            text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        numbers.try_into().expect("three numbers")
    }
}

impl Drop for Mutator {
    fn drop(&mut self) {
        // It has ended already, unless the test fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
