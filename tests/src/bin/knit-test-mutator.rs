//! Two programs for one test: a worker that notes which calls it has run, and a process that writes over the
//! segment of such a worker.
//!
//! - `serve FOLDER`: the worker. It appends the number of each call to a file in FOLDER, named after its process.
//! - `mutate HOST MILLISECONDS SEED`: writes random words over the whole segment of lane 0 of the pool of process
//!   HOST, and over that of each worker that replaces it. Begins with a segment when its first request has been
//!   published. Prints how many segments, how many words, and the process id of the last worker.

use knit_lanes::{BOOT_ENV, Boot, Tasks};
use knit_proto::{Direction, Layout, Region, WordOffset};
use knit_ring::{Mapped, Mapping, SharedMemory, SharedWord, attach_segment};
use knit_tests::Noise;
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Looks at the clock and at the worker once in so many words.
const BURST: u32 = 64;

fn main() {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).expect("Linux");
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", folder] => serve(folder),
        ["mutate", host, milliseconds, seed] => {
            let time = Duration::from_millis(milliseconds.parse().expect("a number"));
            mutate(host, time, seed.parse().expect("a number"));
        }
        _ => panic!("usage: knit-test-mutator serve FOLDER | mutate HOST MILLISECONDS SEED"),
    }
}

fn serve(folder: &str) {
    let path = format!("{folder}/{}", std::process::id());
    let log = OpenOptions::new().create(true).append(true).open(path);
    let log = Mutex::new(log.expect("the test made the folder"));
    let mut tasks = Tasks::new();
    tasks.add("stamp", move |bytes: Vec<u8>| {
        // The argument may be anything: this worker's segment may be the one that is written over.
        if let Some(number) = bytes.first_chunk::<8>() {
            log.lock().expect("no task panics").write_all(number).expect("there is room");
        }
        let mut stamped = std::process::id().to_le_bytes().to_vec();
        stamped.extend(bytes);
        stamped
    });
    tasks.serve_if_worker();
}

fn mutate(host: &str, time: Duration, seed: u64) {
    let end = Instant::now() + time;
    let mut noise = Noise::new(seed);
    let (mut segments, mut words, mut last) = (0_u32, 0_u64, 0);
    while Instant::now() < end {
        let Some((worker, memory, layout)) = victim(host, last) else {
            std::thread::yield_now();
            continue;
        };
        (segments, last) = (segments + 1, worker);
        words += write_over(&mut noise, &memory, &layout, worker, end);
    }
    println!("{segments} {words} {last}");
}

/// A worker of lane 0 that was not `last`, whose first request is published, and its segment.
fn victim(host: &str, last: u32) -> Option<(u32, Mapped<Mapping>, Layout)> {
    let worker = children(host).into_iter().find(|pid| *pid != last && lane(*pid) == Some(0))?;
    let file = OpenOptions::new().read(true).write(true).open(segment(worker)?);
    let memory = Mapping::attach(file.ok()?.into()).ok()?;
    let layout = attach_segment(&memory).ok()?;
    let publish = memory.word(layout.mailbox(Direction::Request).publish()).ok()?;
    (publish.load_acquire() != 0).then_some((worker, memory, layout))
}

fn children(host: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux has /proc");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Fields 3 and 4 of proc_pid_stat(5); the command in field 2 may hold spaces and parentheses.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = rest.split_whitespace();
        fields.next() != Some("Z") && fields.next() == Some(host)
    };
    pids.filter(is_child).collect()
}

/// The lane of a worker.
fn lane(worker: u32) -> Option<u32> {
    let environment = fs::read(format!("/proc/{worker}/environ")).ok()?;
    let prefix = format!("{BOOT_ENV}=");
    let mut variables = environment.split(|byte| *byte == 0);
    let boot = variables.find_map(|one| one.strip_prefix(prefix.as_bytes()))?;
    let boot = Boot::from_json(std::str::from_utf8(boot).ok()?).ok()?;
    u32::try_from(boot.lane).ok()
}

/// Where the segment of a worker can be opened.
fn segment(worker: u32) -> Option<PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{worker}/fd")).ok()?;
    let mut paths = descriptors.filter_map(|entry| Some(entry.ok()?.path()));
    let is_lane = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|link| link.to_string_lossy().contains("memfd:knit-lane"))
    };
    paths.find(is_lane)
}

/// Writes over a segment until its worker has ended or the time is over. Returns how many words.
fn write_over(
    noise: &mut Noise,
    memory: &Mapped<Mapping>,
    layout: &Layout,
    worker: u32,
    end: Instant,
) -> u64 {
    // From as fast as it goes to a word now and then, so that damage is met alone and in heaps.
    let pause = match noise.below(4) {
        0 => Duration::ZERO,
        n => Duration::from_micros(1 << (4 * n)),
    };
    let control = layout.region(Region::RequestArena).at() + 4096;
    let mut words = 0;
    // A process that has ended has no descriptors, reaped or not.
    let alive = || segment(worker).is_some();
    while Instant::now() < end && alive() {
        for _ in 0..BURST {
            // Everything; what both sides decide by; header and control lines.
            let stretch = match noise.below(4) {
                0 | 1 => memory.len(),
                2 => control,
                _ => layout.lane_block_at(),
            };
            let at = WordOffset::new(noise.below(stretch / 4) * 4).expect("a multiple of four");
            let word = memory.word(at).expect("inside");
            word.store_release(noise.tamper(word.load_acquire()));
            words += 1;
            let since = Instant::now();
            while since.elapsed() < pause {
                std::thread::yield_now();
            }
        }
    }
    words
}
