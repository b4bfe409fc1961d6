//! Implementations that are broken on purpose: each must get a bad verdict.
//!
//! `knit-villain-broken worker-MODE` is a worker, `knit-villain-broken host-MODE WORKER ARGUMENT...` a host.

#![forbid(unsafe_code)]

use knit_lanes::{Boot, Call, Pool, Tasks, Value};
use knit_proto::{LaneState, Tag};
use knit_ring::{Mapping, attach_segment};
use knit_villain::against_host::{CALLS, ROUNDS, text};
use knit_villain::line::{Incoming, Line, Side};
use knit_villain::wire::Body;
use std::ffi::OsString;
use std::process::{abort, exit};
use std::time::Duration;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let mode = arguments.next().and_then(|mode| mode.into_string().ok()).unwrap_or_default();
    match (mode.strip_prefix("worker-"), mode.strip_prefix("host-")) {
        (Some(mode), _) => worker(mode),
        (_, Some(mode)) => host(mode, arguments.collect()),
        _ => {
            eprintln!("usage: knit-villain-broken worker-MODE | host-MODE WORKER ARGUMENT...");
            exit(2)
        }
    }
}

/// Serves `echo`, but for what is broken.
fn worker(mode: &str) -> ! {
    if mode == "never-opens" {
        forever()
    }
    if mode == "refuses-all" {
        exit(78)
    }
    let boot = Boot::from_env().unwrap_or_else(|_| exit(if mode == "panics" { 101 } else { 78 }));
    let attached = rustix::stdio::stdin().try_clone_to_owned().ok().and_then(|file| {
        let memory = Mapping::attach(file).ok()?;
        let layout = attach_segment(&memory).ok()?;
        Some(Line::new(&memory, &layout, Side::Worker, boot.max_payload))
    });
    let Some(mut line) = attached else { exit(78) };
    let fields = line.layout.fields();
    let features = match mode {
        "accepts-more" => u32::MAX,
        _ => fields.required.or(fields.optional).bits(),
    };
    line.stamps = true;
    line.say(boot.epoch, features, LaneState::Open.word());
    loop {
        if line.peer_is(LaneState::Closing) {
            match mode {
                "stays" => forever(),
                "closes-badly" => exit(1),
                _ => exit(0),
            }
        }
        match line.take() {
            Ok(Some(call)) => answer(mode, &mut line, &call),
            Ok(None) => std::thread::sleep(Duration::from_micros(200)),
            Err(_) if mode == "lenient" => {}
            Err(_) if mode == "panics" => exit(101),
            Err(_) if mode == "wrong-status" => exit(1),
            Err(_) if mode == "silent" => exit(76),
            Err(_) if mode == "hangs" => forever(),
            Err(what) => {
                eprintln!("{what}");
                exit(76)
            }
        }
    }
}

fn answer(mode: &str, line: &mut Line, call: &Incoming) {
    let function = call.word0 & 0xffff;
    let body = match call.tag {
        Tag::STRING_INLINE | Tag::STRING_ARENA => Body::text(call.bytes.clone()),
        Tag::NUMBER => {
            let bits = call.bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
            Body::scalar(Tag::NUMBER, bits)
        }
        _ => Body::bare(Tag::NULL),
    };
    let error = Body::Bytes { inline: 0, arena: Tag::ERROR.0, bytes: b"{}".to_vec() };
    let (word0, id, body) = match mode {
        "crashes" => abort(),
        "exits" => exit(0),
        "deaf" => return,
        "wrong-value" => (0, call.call, Body::text("something else")),
        "wrong-id" => (0, !call.call, body),
        "wrong-tag" => (0, call.call, Body::bare(Tag(13))),
        "fails-all" => (1, call.call, error),
        "succeeds-always" => (0, call.call, body),
        _ if function == 0 => (0, call.call, body),
        _ => (1, call.call, error),
    };
    for _ in 0..if mode == "answers-twice" { 2 } else { 1 } {
        let raw = line.forge(word0, id, &body);
        line.post(&raw);
    }
    line.ring();
}

/// Makes the calls of the contract, but for what is broken.
fn host(mode: &str, mut worker: Vec<OsString>) {
    match mode {
        "hangs" => forever(),
        "crashes" => abort(),
        "says-nothing" => return,
        "calls-nobody" => {
            let calls = (1..=ROUNDS).flat_map(|round| (0..CALLS).map(move |n| (round, n)));
            calls.for_each(|(round, n)| println!("call {round} {n} ok {}", text(round, n)));
            println!("end");
            return;
        }
        _ => {}
    }
    let mut tasks = Tasks::new();
    let echo = tasks.declare("echo");
    let program = worker.remove(0);
    let pool = Pool::builder().command(program, worker).processes(2).start(tasks);
    let Ok(pool) = pool else {
        println!("start it did not work");
        return;
    };
    for round in 1..=ROUNDS {
        let calls: Vec<(u32, Call<Value>)> =
            (0..CALLS).map(|n| (n, pool.call(echo, text(round, n)))).collect();
        for (n, call) in calls {
            match (call.wait(), mode) {
                (Err(error), "names-nothing") => {
                    let _ = error;
                    println!("call {round} {n} failed it did not work");
                }
                (Err(_), "invents") => println!("call {round} {n} ok {}", text(round, n)),
                (Err(_), "mixes-up") => println!("call {round} {n} ok {}", text(round, n + 1)),
                (Err(_), "names-another") => println!("call {round} {n} failed MBX-7"),
                (Err(_), "panics") => panic!("a call failed"),
                (Err(_), "hangs-on-error") => forever(),
                (Err(_), "forgets") => {}
                _ => println!("call {round} {n} ok {}", text(round, n)),
            }
        }
    }
    drop(pool);
    println!("end");
}

/// Does nothing, until somebody ends this process.
fn forever() -> ! {
    loop {
        std::thread::park();
    }
}
