//! The estimate of pi, as a process.

mod support;

use std::process::Stdio;
use support::run;

const PROGRAM: &str = env!("CARGO_BIN_EXE_monte_carlo_pi");

/// The lines that depend on points and seed alone: estimate, error, counts.
#[track_caller]
fn result(samples: &str, workers: &str, seed: &str) -> [String; 3] {
    let arguments = ["--samples", samples, "--workers", workers, "--seed", seed];
    let (status, lines, error) = run(PROGRAM, &arguments, Stdio::null());
    // Standard error is no terminal: there is no bar.
    assert_eq!((status, error.as_str()), (Some(0), ""), "{lines:?}");
    let starts = ["pi ", "error ", "samples ", "time ", "speed ", "speed-up "];
    assert_eq!(lines.len(), starts.len(), "{lines:?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    assert!(lines[3].ends_with(&format!("to start {workers} workers")), "{lines:?}");
    assert!(lines[4].ends_with("million samples/s"), "{lines:?}");
    assert!(lines[5].contains("against one thread"), "{lines:?}");
    [lines[0].clone(), lines[1].clone(), lines[2].clone()]
}

#[test]
fn the_result_depends_on_samples_and_seed_alone() {
    // Three batches and a part of one.
    let samples = "1600001";
    let one = result(samples, "1", "9");
    assert_eq!(one, result(samples, "1", "9"));
    assert_eq!(one, result(samples, "2", "9"));
    assert_eq!(one, result(samples, "5", "9"));
    assert_ne!(one, result(samples, "2", "10"));
    assert!(one[2].contains("1600001 in 4 batches"), "{one:?}");
    let estimate: f64 = one[0].split_whitespace().nth(1).unwrap().parse().unwrap();
    // Ten standard deviations; the seed is fixed.
    assert!((estimate - core::f64::consts::PI).abs() < 0.013, "{estimate}");
    let inside: u64 = one[2].split_whitespace().nth(5).unwrap().parse().unwrap();
    assert_eq!(one[0], format!("pi        {:.10}", 4.0 * inside as f64 / 1_600_001.0));
}

/// The numbers of a seed stay what they are: whoever changes them changes what users have noted down.
#[test]
fn a_seed_means_the_same_for_ever() {
    let [_, _, counts] = result("1000", "2", "1");
    assert_eq!(counts, "samples   1000 in 1 batches, 800 inside, seed 1");
}

#[test]
fn one_point_is_enough() {
    let [pi, _, counts] = result("1", "3", "1");
    assert!(pi == "pi        4.0000000000" || pi == "pi        0.0000000000", "{pi}");
    assert!(counts.starts_with("samples   1 in 1 batches"), "{counts}");
}

#[test]
fn wrong_arguments_are_refused() {
    for arguments in
        [["--samples", "0"], ["--samples", "many"], ["--workers", "0"], ["--seed", "x"]]
    {
        let (status, lines, error) = run(PROGRAM, &arguments, Stdio::null());
        assert_eq!((status, lines.len()), (Some(2), 0), "{arguments:?}");
        assert!(error.contains(arguments[0]), "{error}");
    }
    let (status, lines, _) = run(PROGRAM, &["--help"], Stdio::null());
    assert_eq!(status, Some(0));
    for option in ["--samples", "--workers", "--seed"] {
        assert!(lines.iter().any(|line| line.contains(option)), "{option}: {lines:?}");
    }
}
