//! The worker program of the tests with real processes: serves the tasks that they call.

use core::fmt;
use knit_lanes::codec::Header;
use knit_lanes::codec::{EncodeError, JsonText, Payload};
use knit_lanes::{
    Encode, EnvelopedBuffer, ErrorValue, Limits, SharedBuffer, TaskContext, Tasks, Value,
};
use knit_proto::Tag;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn main() -> ExitCode {
    // Tests provoke panics; their text comes back through the pool.
    std::panic::set_hook(Box::new(|_| {}));
    let mut tasks = Tasks::new();
    values(&mut tasks);
    failures(&mut tasks);
    buffers(&mut tasks);
    ends(&mut tasks);
    raw(&mut tasks);
    if std::env::args().any(|argument| argument == "hung-up") {
        tasks.warm_up(hang_up);
    }
    // A child that comes back from its task.
    tasks.add("fork", |(): ()| knit_tests::fork::and_come_back());
    tasks.serve_if_worker();
    knit_lanes::knitting::serve_if_worker(&tasks);
    eprintln!("knit-test-worker: not started as a worker");
    ExitCode::from(2)
}

/// Ends its control channel, and says that it is ready all the same.
fn hang_up() -> Result<(), std::io::Error> {
    let channel = knit_ring::inherited_descriptor(3)?;
    Ok(rustix::net::shutdown(channel, rustix::net::Shutdown::Both)?)
}

/// Tasks that return a value.
fn values(tasks: &mut Tasks) {
    tasks.add("number", |value: f64| value);
    tasks.add("flag", |value: bool| value);
    tasks.add("unit", |(): ()| ());
    tasks.add("bigint", |value: i64| value);
    tasks.add("text", |value: String| value);
    tasks.add("bytes", |value: Vec<u8>| value);
    tasks.add("option", |value: Option<String>| value);
    tasks.add("json", |value: JsonText| value);
    tasks.add("value", |value: Value| value);
    tasks.add("square", |n: f64| n * n);
    tasks.add("filled", |len: u32| vec![7_u8; len as usize]);
    tasks.add("pid", |(): ()| std::process::id());
    let turns = AtomicU32::new(0);
    tasks.add("turn", move |(): ()| turns.fetch_add(1, Ordering::Relaxed));
    // Names that languages sort in other ways.
    for name in ["z1", "ä1", "Z1", "a1"] {
        tasks.add(name, move |(): ()| name.to_owned());
    }
    tasks.add("count", |path: String| count(&path));
    tasks.add("count_filled", |path: String| {
        count(&path);
        vec![7_u8; 8 << 20]
    });
    tasks.add("append", |request: String| {
        let (path, line) = request.split_once(' ').expect("a path and a line");
        append(path, &format!("{line}\n"));
    });
    tasks.add("hold", |fifo: String| hold(&fifo));
    tasks.add_with_context("until_aborted", |context: &TaskContext<'_>, fifo: String| {
        hold(&fifo);
        while !context.is_aborted() {
            std::thread::yield_now();
        }
        context.check().is_err()
    });
    tasks.add("shout", |text: String| {
        println!("out {text}");
        eprintln!("error {text}");
    });
    tasks.add("spin", |(): ()| -> () {
        loop {
            std::hint::spin_loop();
        }
    });
    tasks.add_with_context("time_left", |context: &TaskContext<'_>, (): ()| {
        context.remaining().map(|remaining| remaining.as_secs_f64())
    });
    tasks.add_with_context("is_aborted", |context: &TaskContext<'_>, (): ()| context.is_aborted());
}

/// Tasks that fail.
fn failures(tasks: &mut Tasks) {
    tasks.add("fail", |(): ()| -> Result<f64, Layer> {
        Err(Layer::new("outer", Some(Layer::new("middle", Some(Layer::new("inner", None))))))
    });
    tasks.add("fail_named", |(): ()| -> Result<f64, ErrorValue> {
        Err(ErrorValue::new("RangeError", "too far").with_cause(ErrorValue::new("Error", "why")))
    });
    tasks.add("panic_text", |(): ()| -> f64 { panic!("a plain text") });
    tasks.add("panic_string", |n: f64| -> f64 { panic!("formatted {n}") });
    tasks.add("panic_other", |(): ()| -> f64 { std::panic::panic_any(42_u8) });
}

/// Tasks whose results are payloads that no encoder of the crates makes.
fn raw(tasks: &mut Tasks) {
    let bytes = |tag, bytes: Vec<u8>| move |(): ()| Raw(Payload::bytes(tag, bytes.clone()));
    tasks.add("raw_move", bytes(Tag::BUFFER_MOVE, vec![0; 32]));
    tasks.add("raw_local", bytes(Tag::LOCAL_SHARED_BUFFER, vec![0; 8]));
    tasks.add("raw_number", bytes(Tag::SHARED_BUFFER, vec![0; 32]));
    tasks.add("raw_unassigned", bytes(Tag(30), Vec::new()));
    tasks.add("raw_long", bytes(Tag::BYTES_INLINE, vec![0; 513]));
    tasks.add("raw_text", bytes(Tag::STRING_INLINE, vec![0xff]));
    tasks.add("raw_json", bytes(Tag::JSON_INLINE, b"{".to_vec()));
    let reserved = br#"["knitting.bufferReference",{}]"#.to_vec();
    tasks.add("raw_reserved", bytes(Tag::EXTERNAL_INLINE, reserved));
}

struct Raw(Payload<'static>);

impl Encode for Raw {
    fn encode(&self, _: &Limits) -> Result<Payload<'_>, EncodeError> {
        Ok(self.0.clone())
    }
}

/// Tasks that end the process, or never end.
fn ends(tasks: &mut Tasks) {
    tasks.add("exit", |code: i32| -> f64 { std::process::exit(code) });
    tasks.add("abort", |(): ()| -> f64 { std::process::abort() });
    tasks.add("never", |(): ()| -> f64 {
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
}

/// Tasks that take and return shared buffers.
fn buffers(tasks: &mut Tasks) {
    static KEPT: Mutex<Vec<SharedBuffer>> = Mutex::new(Vec::new());
    tasks
        .add("sum", |buffer: SharedBuffer| buffer.to_vec().into_iter().map(f64::from).sum::<f64>());
    // Adds one to every byte.
    fn bump(buffer: &SharedBuffer) -> Result<(), knit_lanes::BufferError> {
        let bytes: Vec<_> = buffer.to_vec().iter().map(|byte| byte.wrapping_add(1)).collect();
        buffer.write(0, &bytes)
    }
    tasks.add("bump", |buffer: SharedBuffer| bump(&buffer));
    tasks.add("buffer", |buffer: SharedBuffer| buffer);
    tasks.add("enveloped", |EnvelopedBuffer { header, buffer }| {
        bump(&buffer)?;
        let header = match header {
            Header::Json(text) => Header::Json(format!("[{text}]")),
            Header::Text(text) => Header::Text(text + "!"),
        };
        Ok::<_, knit_lanes::BufferError>(EnvelopedBuffer { header, buffer })
    });
    tasks.add("new_buffer", |len: u32| {
        let buffer = SharedBuffer::new(len)?;
        buffer.write(0, &vec![7; len as usize])?;
        Ok::<_, knit_lanes::BufferError>(buffer)
    });
    tasks.add("keep", |buffer: SharedBuffer| KEPT.lock().expect("no task panics").push(buffer));
    tasks.add("kept", |(): ()| KEPT.lock().expect("no task panics").last().cloned().expect("one"));
    tasks.add("forget", |(): ()| KEPT.lock().expect("no task panics").clear());
    tasks.add("resources", |(): ()| resources());
    tasks.add("descriptors", |(): ()| descriptors().join("\n"));
    tasks.add("read_from", |path: String| std::fs::read_to_string(path));
}

/// The descriptors of this process: number, space, what it is open on. That of the list itself is not among them.
fn descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("Linux").flatten();
    let paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    let open = paths.iter().filter_map(|path| {
        let target = std::fs::read_link(path).ok()?;
        Some(format!("{} {}", path.file_name()?.display(), target.display()))
    });
    open.collect()
}

/// How many descriptors and how many mappings of memfds this process has.
fn resources() -> Vec<i32> {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("Linux").count();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    let mappings = maps.lines().filter(|line| line.contains("memfd:")).count();
    [descriptors, mappings].map(|count| i32::try_from(count).expect("a few")).into()
}

/// Makes the file one byte longer.
fn count(path: &str) {
    append(path, ".");
}

fn append(path: &str, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.expect("the test's directory can be written");
}

/// Opens the FIFO, which tells the test that the task runs, and reads it to its end, which comes when
/// the test lets go. Returns the id of this process.
fn hold(fifo: &str) -> u32 {
    let mut file = File::open(fifo).expect("the test made the FIFO");
    file.read_to_end(&mut Vec::new()).expect("a FIFO can be read");
    std::process::id()
}

/// One error of a chain.
#[derive(Debug)]
struct Layer {
    message: &'static str,
    source: Option<Box<Layer>>,
}

impl Layer {
    fn new(message: &'static str, source: Option<Layer>) -> Self {
        Self { message, source: source.map(Box::new) }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl Error for Layer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|layer| layer as _)
    }
}
