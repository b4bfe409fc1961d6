//! The HTTP server as a process, with clients on the loopback interface.

mod http_support;
mod support;

use http_support::{Server, pid};
use rustix::process::{Signal, kill_process};
use serde_json::json;
use std::process::Stdio;
use support::{is_gone, run, ticks, until};

/// Primes up to here are not found before the sun goes out.
const ENDLESS: &str = r#"{"from": 1, "to": 18446744073709551615}"#;

#[test]
fn each_route_answers() {
    let server = Server::start(&["--workers", "2"]);
    assert_eq!(server.post("/crc32", "123456789").pair(), (200, "cbf43926\n"));
    assert_eq!(server.post("/crc32", "").pair(), (200, "00000000\n"));
    assert_eq!(server.post("/crc32", [0xff, 0, 0x80]).status, 200);
    let words = server.post("/words", "two words\nand three more: ä\n");
    assert_eq!(words.json(), json!({ "lines": 2, "words": 6, "characters": 28 }));
    let primes = server.post("/primes", r#"{"from": 1, "to": 100}"#);
    assert_eq!(primes.json(), json!({ "count": 25, "largest": 97 }));
    let none = server.post("/primes", r#"{"from": 24, "to": 28}"#);
    assert_eq!(none.json(), json!({ "count": 0, "largest": null }));
    let mut chunked = server.begin_chunked("/crc32");
    for chunk in ["1234", "5", "6789", ""] {
        chunked.send_chunk(chunk.as_bytes());
    }
    assert_eq!(chunked.answer().pair(), (200, "cbf43926\n"));
    assert_eq!(server.post("/nothing", "").status, 404);
    let status = server.status();
    assert_eq!(status["requests"], json!({ "open": 0, "left": 0, "answers": { "200": 7 } }));
    assert_eq!(status["calls"], 0);
    assert_eq!(server.workers().len(), 2);
}

#[test]
fn requests_run_side_by_side() {
    let server = Server::start(&["--workers", "2", "--max-body", "100000"]);
    std::thread::scope(|scope| {
        for client in 1..=16_usize {
            let server = &server;
            scope.spawn(move || {
                for n in 1..=20 {
                    let text = "word ".repeat(client * n * 50);
                    let words = server.post("/words", &text);
                    let expected =
                        json!({ "lines": 1, "words": client * n * 50, "characters": text.len() });
                    assert_eq!(words.json(), expected);
                }
            });
        }
    });
    assert_eq!(server.status()["requests"]["answers"], json!({ "200": 320 }));
}

#[test]
fn a_body_over_the_limit_is_413() {
    let server = Server::start(&["--workers", "1", "--max-body", "1000"]);
    assert_eq!(server.post("/words", "w".repeat(1000)).status, 200);
    // It says so itself: nothing need be sent.
    let said = server.begin("/words", 1001).answer();
    assert_eq!(said.pair(), (413, "there is no argument: the body is longer than 1000 bytes\n"));
    // It does not, and goes on and on.
    let mut chunked = server.begin_chunked("/crc32");
    chunked.send_chunk(&[1; 600]);
    server.until("/requests/open", 1);
    assert!(chunked.is_waiting());
    chunked.send_chunk(&[1; 401]);
    assert_eq!(chunked.answer().status, 413);
    assert_eq!(server.post("/crc32", "123456789").pair(), (200, "cbf43926\n"));
    assert_eq!(server.status()["requests"]["answers"], json!({ "200": 2, "413": 2 }));
}

#[test]
fn a_body_that_is_not_what_the_task_takes_is_400() {
    let server = Server::start(&["--workers", "1"]);
    for (path, body, says) in [
        ("/words", &b"\xff\xfe"[..], "UTF-8"),
        ("/primes", b"{", "JSON"),
        ("/primes", b"", "JSON"),
        ("/primes", br#"{"from": 1}"#, "to"),
        ("/primes", br#"{"from": -1, "to": 2}"#, "-1"),
    ] {
        let answer = server.post(path, body);
        assert!(answer.status == 400 && answer.body.contains(says), "{answer:?}");
    }
    // Deeper than the limit of 128.
    let deep = server.post("/primes", "[".repeat(200) + &"]".repeat(200));
    assert_eq!(deep.status, 400, "{deep:?}");
    // Chunks that are none.
    let mut broken = server.begin_chunked("/words");
    broken.send_chunk(b"good");
    broken.send(b"no length\r\n");
    assert_eq!(broken.answer().status, 400);
    assert_eq!(server.post("/words", "fine").status, 200);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_makes_no_call() {
    let server = Server::start(&["--workers", "1"]);
    let mut leaver = server.begin("/words", 1000);
    leaver.send(b"the first of many words");
    server.until("/requests/open", 1);
    assert_eq!(server.status()["calls"], 0);
    drop(leaver);
    server.until("/requests/open", 0);
    let status = server.status();
    assert_eq!(
        (&status["calls"], &status["requests"]["answers"]["200"]),
        (&json!(0), &json!(null))
    );
    assert_eq!(server.post("/words", "here").status, 200);
}

#[test]
fn a_client_that_leaves_during_its_call_takes_it_along() {
    let server = Server::start(&["--workers", "1"]);
    let mut leaver = server.begin("/primes", ENDLESS.len());
    leaver.send(ENDLESS.as_bytes());
    server.until("/calls", 1);
    drop(leaver);
    server.until("/requests/left", 1);
    // The task has seen that it was aborted: the worker is free.
    server.until("/calls", 0);
    assert_eq!(server.post("/words", "here").status, 200);
}

/// One worker, and one slow client: others are answered while its body is open.
#[test]
fn a_slow_body_keeps_no_worker_from_others() {
    let server = Server::start(&["--workers", "1"]);
    let mut slow = server.begin("/crc32", 9);
    slow.send(b"1234");
    server.until("/requests/open", 1);
    for n in 1..=50 {
        let fast = server.post("/words", "word ".repeat(n));
        assert_eq!(fast.json()["words"], n);
    }
    assert!(slow.is_waiting());
    assert_eq!(
        server.status()["requests"],
        json!({ "open": 1, "left": 0, "answers": { "200": 50 } })
    );
    slow.send(b"56789");
    assert_eq!(slow.answer().pair(), (200, "cbf43926\n"));
}

#[test]
fn a_body_that_never_ends_is_408() {
    let server = Server::start(&["--workers", "1", "--body-timeout", "50"]);
    let mut slow = server.begin("/crc32", 9);
    slow.send(b"1234");
    assert_eq!(slow.answer().status, 408);
}

#[test]
fn a_call_that_takes_too_long_is_504() {
    let server = Server::start(&["--workers", "1", "--timeout", "50"]);
    let worker = server.workers();
    let late = server.post("/primes", ENDLESS);
    assert_eq!(late.status, 504);
    assert!(late.body.contains("no answer after 50ms"), "{late:?}");
    // The task has seen it, so its worker lives on.
    server.until("/calls", 0);
    assert_eq!(server.workers(), worker);
}

#[test]
fn a_full_queue_is_503() {
    let server = Server::start(&["--workers", "1", "--queue", "1"]);
    // The worker has 32, and one waits.
    let busy: Vec<_> = (0..33)
        .map(|_| {
            let mut client = server.begin("/primes", ENDLESS.len());
            client.send(ENDLESS.as_bytes());
            client
        })
        .collect();
    server.until("/calls", 33);
    let refused = server.post("/words", "no room");
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 1"), "{refused:?}");
    assert!(busy.iter().all(http_support::Client::is_waiting));
    drop(busy);
    server.until("/calls", 0);
    assert_eq!(server.post("/words", "room").status, 200);
}

#[test]
fn a_worker_that_dies_costs_one_request_a_500() {
    let server = Server::start(&["--workers", "1"]);
    let [worker] = server.workers()[..] else { panic!("there is one") };
    let before = ticks(worker);
    let mut client = server.begin("/primes", ENDLESS.len());
    client.send(ENDLESS.as_bytes());
    server.until("/calls", 1);
    // A worker without a call sleeps: this one has begun.
    until("the task runs", || ticks(worker) >= before + 5);
    kill_process(pid(worker), Signal::KILL).unwrap();
    let answer = client.answer();
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("may have run"), "{answer:?}");
    // Another one takes its place.
    assert_eq!(server.post("/crc32", "123456789").pair(), (200, "cbf43926\n"));
    let [next] = server.workers()[..] else { panic!("there is one") };
    assert_ne!(next, worker);
}

#[test]
fn who_is_there_is_answered_when_the_server_ends() {
    for (signal, group) in [(Signal::TERM, false), (Signal::INT, true)] {
        let server = Server::start(&["--workers", "2", "--timeout", "600000", "--grace", "600000"]);
        let workers = server.workers();
        // One whose body is still coming, one whose call is under way.
        let mut slow = server.begin("/crc32", 9);
        slow.send(b"1234");
        let numbers = r#"{"from": 1, "to": 300000}"#;
        let mut called = server.begin("/primes", numbers.len());
        called.send(numbers.as_bytes());
        // Both are known to the server.
        until("both have begun", || {
            let requests = &server.status()["requests"];
            let answered = requests["answers"]["200"].as_u64().unwrap_or(0);
            requests["open"].as_u64().unwrap() + answered == 2
        });
        // As a terminal does it, and as a service manager does.
        if group {
            server.signal_group(signal)
        } else {
            server.signal(signal)
        }
        server.until_closed();
        assert!(slow.is_waiting());
        // The signal is not for them, and they are needed.
        assert!(workers.iter().all(|worker| !is_gone(*worker)));
        slow.send(b"56789");
        assert_eq!(slow.answer().pair(), (200, "cbf43926\n"));
        assert_eq!(called.answer().json(), json!({ "count": 25997, "largest": 299993 }));
        assert_eq!(server.finish(), (Some(0), String::new()));
        assert!(workers.into_iter().all(is_gone));
    }
}

#[test]
fn who_takes_too_long_is_left_when_the_server_ends() {
    let server = Server::start(&["--workers", "1", "--grace", "50"]);
    let workers = server.workers();
    let mut slow = server.begin("/crc32", 9);
    slow.send(b"1234");
    server.until("/requests/open", 1);
    server.signal(Signal::TERM);
    let (status, error) = server.finish();
    assert_eq!(status, Some(1));
    assert_eq!(error, "http_server: 1 requests were not over in time\n");
    drop(slow);
    assert!(workers.into_iter().all(is_gone));
}

#[test]
fn wrong_arguments_are_refused() {
    let path = env!("CARGO_BIN_EXE_http_server");
    for arguments in [
        ["--address", "nowhere"],
        ["--workers", "0"],
        ["--max-body", "0"],
        ["--max-body", "8388609"],
        ["--timeout", "x"],
    ] {
        let (status, lines, error) = run(path, &arguments, Stdio::null());
        assert_eq!((status, lines.len()), (Some(2), 0), "{arguments:?}");
        assert!(error.contains(arguments[0]), "{error}");
    }
    let (status, lines, _) = run(path, &["--help"], Stdio::null());
    assert_eq!(status, Some(0));
    let options = [
        "--address",
        "--workers",
        "--max-body",
        "--body-timeout",
        "--timeout",
        "--queue",
        "--grace",
    ];
    for option in options {
        assert!(lines.iter().any(|line| line.contains(option)), "{option}: {lines:?}");
    }
    // The address is taken.
    let server = Server::start(&["--workers", "1"]);
    let address = server.address.to_string();
    let (status, lines, error) =
        run(path, &["--workers", "1", "--address", &address], Stdio::null());
    assert_eq!((status, lines.len()), (Some(1), 0));
    assert!(error.starts_with("http_server: "), "{error}");
}
