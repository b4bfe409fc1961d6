//! Every implementation gives right answers to every job, with 1, 10 and 100 in flight, and the program has a
//! line for each row. Not libtest: this executable starts itself again as the workers.

use knit_cli::floor::{Cpus, Plan};
use knit_pool_rivals::run::{WINDOWS, rows};
use knit_pool_rivals::{Failure, jobs, rivals};
use std::process::{Command, Output};
use std::time::Duration;

fn main() -> Result<(), Failure> {
    rivals::serve_if_worker();
    let plan = Plan {
        repetitions: 1,
        rounds: 200,
        budget: Duration::from_millis(5),
        ..Plan::quick(Cpus::choose()?)
    };
    every_implementation_answers(&plan)?;
    unknown_names_are_errors(&plan);
    the_program_has_a_line_for_each_row();
    what_is_unknown_is_named();
    Ok(())
}

fn every_implementation_answers(plan: &Plan) -> Result<(), Failure> {
    for implementation in rivals::NAMES {
        for job in jobs::NAMES {
            for window in WINDOWS {
                let found = rivals::measure(implementation, job, window, plan);
                let found = found.map_err(|error| format!("{implementation} {job}: {error}"))?;
                println!("{implementation} {job}/{window}: {found:.0} ns");
                assert!(found > 1.0, "{implementation} {job}/{window}: {found} ns");
            }
        }
    }
    Ok(())
}

fn unknown_names_are_errors(plan: &Plan) {
    assert!(rivals::measure("nothing", "f64", 1, plan).is_err());
    assert!(rivals::measure("knit", "nothing", 1, plan).is_err());
}

fn the_program_has_a_line_for_each_row() {
    let (success, out, errors) = pool_rivals(&["--quick", "--json", "--only", "f64"]);
    assert!(success, "{errors}");
    let json: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    let figures = json["figures"].as_array().expect("figures");
    let rows: Vec<_> = rows().into_iter().filter(|row| row.name().contains("f64")).collect();
    assert_eq!(figures.len(), rows.len() * rivals::NAMES.len());
    for figure in figures {
        assert!(figure["ns"].as_f64().is_some_and(|ns| ns > 1.0), "{figure}");
        assert!(figure["times_knit"].is_f64(), "{figure}");
    }
    assert_eq!(json["broken"], serde_json::json!([]));
    for row in rows {
        let name = row.name();
        let lines = errors.lines().filter(|line| line.split_whitespace().next() == Some(&name));
        assert_eq!(lines.count(), 2, "times and ratios of {name}:\n{errors}");
    }
}

fn what_is_unknown_is_named() {
    let (success, out, _) = pool_rivals(&["--list", "--only", "json_1KiB/10", "--beside", "tokio"]);
    assert!(success);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines, ["json_1KiB/10", "json_1KiB/100", "knit", "tokio", "tokio/poll"]);
    let (success, _, errors) = pool_rivals(&["--only", "nothing like it"]);
    assert!(!success);
    assert!(errors.contains("no row has \"nothing like it\" in its name; see --list"), "{errors}");
    let (success, out, _) = pool_rivals(&["--help"]);
    assert!(success && out.contains("--quick") && out.contains("--beside"), "{out}");
}

fn pool_rivals(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pool_rivals")).args(arguments).output();
    let Output { status, stdout, stderr } = output.expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    (status.success(), text(stdout), text(stderr))
}
