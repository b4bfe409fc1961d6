//! What `KNIT_DEBUG` prints, read from a process of its own.

mod pool_support;

use knit_tests::knitting::{Argument, Host, boot};
use pool_support::{fresh_path, within_deadline};
use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_knit-test-debug");
const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-worker");
const VILLAIN: &str = env!("CARGO_BIN_EXE_knit-test-villain");

/// One line of debug output.
#[derive(Debug)]
struct Line {
    ms: f64,
    who: String,
    word: String,
    what: String,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (ms, rest) = line.strip_prefix("knit ")?.split_once(" ms [")?;
        let (who, rest) = rest.split_once("] ")?;
        let (word, what) = rest.split_once(": ")?;
        let [who, word, what] = [who, word, what].map(str::to_owned);
        Some(Self { ms: ms.parse().ok()?, who, word, what })
    }
}

/// Runs the program, which must succeed.
fn run(debug: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_remove("KNIT_DEBUG");
    if let Some(debug) = debug {
        command.env("KNIT_DEBUG", debug);
    }
    let output = within_deadline(move || command.output().unwrap());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", output.status);
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The lines of a program that prints no others.
fn lines(output: &Output) -> Vec<Line> {
    let parse = |line| Line::parse(line).unwrap_or_else(|| panic!("no line of ours: {line:?}"));
    stderr(output).lines().map(parse).collect()
}

fn words(lines: &[Line]) -> BTreeSet<&str> {
    lines.iter().map(|line| line.word.as_str()).collect()
}

/// Who said something that begins so, with this word.
#[track_caller]
fn said(lines: &[Line], who: &str, word: &str, begin: &str) {
    let found = |line: &&Line| line.who == who && line.word == word && line.what.starts_with(begin);
    let any = lines.iter().find(found);
    assert!(any.is_some(), "[{who}] {word}: {begin} … is not in {lines:#?}");
}

#[test]
fn without_the_variable_nothing_is_printed() {
    for debug in [None, Some(""), Some(" , ")] {
        assert_eq!(stderr(&run(debug, &["work"])), "");
    }
}

#[test]
fn a_star_prints_everything_of_host_and_workers() {
    let lines = lines(&run(Some("*"), &["work"]));
    assert_eq!(words(&lines), BTreeSet::from(["host", "imports", "lifecycle", "signals"]));
    let host = |word, begin| said(&lines, "host", word, begin);
    host("host", "submitted call=");
    host("host", "queued call=");
    host("host", "handed to a lane call=");
    host("host", "answered call=");
    host("host", "failed call=");
    host("host", "given up call=");
    host("lifecycle", "worker started lane=0 epoch=1 pid=");
    host("lifecycle", "worker is ready lane=0");
    host("lifecycle", "worker died lane=0 epoch=1 exit=exited with status 7");
    host("lifecycle", "worker is replaced lane=0 epoch=2");
    host("lifecycle", "worker started lane=0 epoch=2 pid=");
    host("lifecycle", "pool drains calls=0");
    host("lifecycle", "workers are asked to end unfinished=0");
    host("lifecycle", "worker has ended lane=0 epoch=2 how=exited with status 0");
    host("signals", "worker is woken lane=0");
    host("signals", "a thread has slept lane=0 until=");
    host("signals", "abort signal is set lane=0 call=");
    for epoch in [1, 2] {
        let who = format!("lane 0 epoch {epoch}");
        let worker = |word, begin| said(&lines, &who, word, begin);
        worker("imports", r#"task id=0 name="square" served=true"#);
        // What others have chosen stays in its line.
        worker("imports", r#"task id=1 name="exit\nnow" served=true"#);
        worker("imports", "limits payload=8388608 ");
        worker("imports", "environment names=[");
        worker("lifecycle", "is ready pid=");
        worker("signals", "host is woken");
        worker("signals", "parks");
    }
    said(&lines, "lane 0 epoch 2", "lifecycle", "ends, as the host asked for");
    // Names only: values may be secret.
    let environment = lines.iter().find(|line| line.what.starts_with("environment")).unwrap();
    assert!(environment.what.contains(r#""KNIT_DEBUG""#) && !environment.what.contains('*'));
    // The queue has no limit: nobody waits for room in it.
    let queued = lines.iter().find(|line| line.what.starts_with("queued ")).unwrap();
    assert!(queued.what.ends_with(" waits=false"), "{queued:?}");
    // A call can be followed by its name.
    let submitted = lines.iter().find(|line| line.what.starts_with("submitted ")).unwrap();
    let call = submitted.what.split_whitespace().find(|part| part.starts_with("call=")).unwrap();
    let story = lines.iter().filter(|line| line.word == "host" && line.what.contains(call));
    let story: Vec<_> =
        story.take(3).map(|line| line.what.split(" call").next().unwrap()).collect();
    assert_eq!(story, ["submitted", "handed to a lane", "answered"]);
}

/// Each thread writes its own lines in their order; those of several may overtake each other on their way.
#[test]
fn the_time_is_that_of_the_process_in_milliseconds() {
    let start = std::time::Instant::now();
    let lines = lines(&run(Some("*"), &["work"]));
    // The start of a process is known to a tick.
    let most = start.elapsed().as_secs_f64() * 1e3 + 20.0;
    assert!(lines.iter().all(|line| line.ms >= 0.0 && line.ms <= most), "{most}: {lines:#?}");
    // A worker has one thread.
    let worker = lines.iter().filter(|line| line.who == "lane 0 epoch 2");
    let times: Vec<_> = worker.map(|line| line.ms).collect();
    assert!(times.len() > 5 && times.is_sorted(), "{times:?}");
}

#[test]
fn only_the_words_that_were_asked_for_are_printed() {
    for word in ["host", "imports", "lifecycle", "signals"] {
        assert_eq!(words(&lines(&run(Some(word), &["work"]))), BTreeSet::from([word]));
    }
    let lines = lines(&run(Some(" lifecycle ,host,"), &["work"]));
    assert_eq!(words(&lines), BTreeSet::from(["host", "lifecycle"]));
}

#[test]
fn a_wrong_word_is_warned_of_in_one_line_and_the_others_count() {
    let output = run(Some("lifecycle,hots"), &["work"]);
    let text = stderr(&output);
    let (ours, others): (Vec<_>, Vec<_>) =
        text.lines().partition(|line| Line::parse(line).is_some());
    let warning = "knit KNIT_DEBUG: no such word: \"hots\"; there are: host, lifecycle, signals, imports, and * for all";
    // Of the host; its workers, of which there were two, do not repeat it.
    assert_eq!(others, [warning]);
    let ours: Vec<_> = ours.into_iter().filter_map(Line::parse).collect();
    assert_eq!(words(&ours), BTreeSet::from(["lifecycle"]));
    said(&ours, "lane 0 epoch 2", "lifecycle", "is ready");
}

#[test]
fn a_worker_thread_has_its_tag_too() {
    let lines = lines(&run(Some("*"), &["threads"]));
    said(&lines, "host", "lifecycle", "worker started lane=0 epoch=1 kind=thread");
    said(&lines, "lane 0 epoch 1", "imports", r#"task id=0 name="square" served=true"#);
    said(&lines, "lane 0 epoch 1", "lifecycle", "ends, as the host asked for");
    // It has the environment of its host.
    assert!(!lines.iter().any(|line| line.what.starts_with("environment")));
}

/// KD-25.
#[test]
fn calls_that_move_away_from_a_long_task_are_named() {
    let lines = lines(&run(Some("host,signals"), &["withdraw"]));
    let withdrawn: Vec<_> =
        lines.iter().filter(|line| line.what.starts_with("is withdrawn call=")).collect();
    assert_eq!(withdrawn.len(), 5, "{withdrawn:?}");
    // Each is handed over twice.
    for line in withdrawn {
        let call = line.what.split_whitespace().find(|part| part.starts_with("call=")).unwrap();
        let handed = format!("handed to a lane {call} ");
        assert_eq!(lines.iter().filter(|line| line.what.starts_with(&handed)).count(), 2, "{call}");
    }
    let given_back = lines.iter().filter(|line| line.what.starts_with("gives a withdrawn call"));
    assert_eq!(given_back.count(), 5);
}

#[test]
fn a_poisoned_worker_is_named_with_its_clause() {
    let marker = fresh_path("debug-villain");
    let lines = lines(&run(Some("lifecycle"), &["poison", VILLAIN, &marker]));
    let begin = "worker broke the protocol and is killed lane=0 violation=";
    said(&lines, "host", "lifecycle", begin);
    let line = lines.iter().find(|line| line.what.starts_with(begin)).unwrap();
    assert!(line.what.contains("LANE-2"), "{line:?}");
    let _ = std::fs::remove_file(marker);
}

/// The targets that the program's own subscriber saw.
fn targets(output: &Output) -> BTreeSet<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().filter(|line| *line != "done").map(str::to_owned).collect()
}

#[test]
fn a_subscriber_of_the_program_has_the_events() {
    let output = run(None, &["own"]);
    let host = ["knit::host", "knit::lifecycle", "knit::signals"].map(str::to_owned);
    assert_eq!(targets(&output), BTreeSet::from(host));
    assert_eq!(stderr(&output), "");
    let output = run(None, &["worker-own"]);
    let worker = ["knit::imports", "knit::lifecycle", "knit::signals"].map(str::to_owned);
    assert_eq!(targets(&output), BTreeSet::from(worker));
}

const SILENT: &str =
    "knit KNIT_DEBUG: this program has a tracing subscriber, which is given the events instead";

#[test]
fn a_subscriber_of_the_program_is_left_alone_whenever_it_is_set() {
    let output = run(Some("*"), &["own"]);
    assert!(targets(&output).contains("knit::host"));
    let text = stderr(&output);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.iter().filter(|line| **line == SILENT).count(), 1, "{text}");
    // Its workers have none.
    let parsed =
        lines.iter().filter(|line| **line != SILENT).map(|line| Line::parse(line).unwrap());
    assert!(parsed.into_iter().all(|line| line.who.starts_with("lane 0 ")));

    // The program can set one after the pool has started: until then the lines are printed.
    let output = run(Some("*"), &["late"]);
    assert!(targets(&output).contains("knit::host"));
    let text = stderr(&output);
    let (host, silent) = (text.find("[host] lifecycle: worker started"), text.find(SILENT));
    assert!(host.unwrap() < silent.unwrap(), "{text}");
    assert!(!text[silent.unwrap()..].contains("[host]"), "{text}");
}

/// Nobody has read the variable before it.
#[test]
fn a_worker_of_a_knitting_pool_says_what_it_has_and_warns_itself() {
    within_deadline(|| {
        let mut host = Host::new(1 << 20, Some(64));
        let boot = boot(&host.places, &["square", "unknown"], None).to_string();
        let mut command = Command::new(WORKER);
        host.start_with(command.env("KNIT_DEBUG", "imports,x").stderr(Stdio::piped()), &boot);
        assert_eq!(host.call(0, 1, &Argument::number(2.0)).number(), 4.0);
        host.child().kill().unwrap();
        let mut text = String::new();
        host.child().stderr.take().unwrap().read_to_string(&mut text).unwrap();
        let lines: Vec<_> = text.lines().filter_map(Line::parse).collect();
        let worker = |begin| said(&lines, "lane 0 epoch 0", "imports", begin);
        worker(r#"task id=0 name="square" served=true"#);
        worker(r#"task id=1 name="unknown" served=false"#);
        worker("limits payload=");
        worker("environment names=[");
        assert_eq!(lines.len(), 4, "{text}");
        assert!(text.starts_with("knit KNIT_DEBUG: no such word: \"x\""), "{text}");
    });
}
