//! Every floor, every case and every experiment works between processes. Not libtest: this executable starts
//! itself again as the second process.

use knit_benches::experiments::{death, idle};
use knit_benches::{Failure, cases, work};
use knit_cli::floor::{Cpus, Floor, FloorError, Peer, Plan, Role};
use std::process::Stdio;
use std::time::{Duration, Instant};

fn main() -> Result<(), Failure> {
    work::serve_if_worker();
    cases::serve_if_peer();
    let plan = Plan {
        repetitions: 2,
        rounds: 500,
        budget: Duration::from_millis(20),
        ..Plan::quick(Cpus::choose()?)
    };
    every_floor_answers(&plan)?;
    every_floor_answers(&Plan { cpus: Cpus::ANY, ..plan })?;
    every_case_answers(&plan)?;
    every_call_fails_when_its_worker_dies()?;
    an_idle_pool_is_watched()?;
    affinity_is_given_back(&plan)?;
    a_peer_that_ends_is_noticed(&plan)?;
    Ok(())
}

fn every_floor_answers(plan: &Plan) -> Result<(), FloorError> {
    for floor in [
        Floor::PingPong,
        Floor::TwoLines,
        Floor::RotatingLines,
        Floor::Copy { bytes: 64 },
        Floor::Copy { bytes: 100_032 },
        Floor::Futex,
        Floor::UnixSocket,
        Floor::Pipe,
    ] {
        let sample = floor.measure(plan)?;
        println!("{floor}: {:.0} ns", sample.median());
        assert_eq!(sample.repetitions().len(), 2, "{floor}");
        assert!(sample.median() > 1.0 && sample.max() >= sample.median(), "{floor}: {sample:?}");
    }
    Ok(())
}

fn every_case_answers(plan: &Plan) -> Result<(), Failure> {
    for case in cases::all() {
        let sample = (case.measure)(plan).map_err(|error| format!("{}: {error}", case.name))?;
        println!("{}: {:.0} ns", case.name, sample.median());
    }
    Ok(())
}

fn every_call_fails_when_its_worker_dies() -> Result<(), Failure> {
    let deaths = death::run(2)?;
    println!("{deaths}");
    assert_eq!((deaths.failed.len(), deaths.answered.len()), (2, 2));
    assert!(deaths.all_typed(), "{deaths}");
    assert_eq!(deaths.retried, 0, "{deaths}");
    Ok(())
}

fn an_idle_pool_is_watched() -> Result<(), Failure> {
    let time = Duration::from_millis(100);
    let idle = idle::run(time)?;
    println!("{idle}");
    assert!(idle.time >= time && idle.tick > Duration::ZERO, "{idle:?}");
    let names: Vec<_> = idle.processes.iter().map(|usage| usage.name.as_str()).collect();
    assert_eq!(names, ["host", "worker 0", "worker 1"]);
    // The thread that measures has slept.
    assert!(idle.processes[0].switches > 0, "{idle}");
    Ok(())
}

fn affinity_is_given_back(plan: &Plan) -> Result<(), FloorError> {
    Floor::PingPong.measure(plan)?;
    assert_eq!(Cpus::choose()?, plan.cpus, "the thread may use the processors that it had before");
    Ok(())
}

fn a_peer_that_ends_is_noticed(plan: &Plan) -> Result<(), FloorError> {
    // A part that nobody plays: the second process ends with an error.
    let role = Role { variable: "KNIT_FLOOR_PEER", name: "nobody" };
    let mut peer = Peer::start(role, Stdio::null(), Stdio::null(), &plan.cpus)?;
    let start = Instant::now();
    let mut patience = knit_cli::floor::Patience::new();
    let error = loop {
        if let Err(error) = patience.spin(&mut peer) {
            break error;
        }
    };
    assert!(matches!(error, FloorError::PeerEnded { role: "nobody", .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    Ok(())
}
