//! A host whose control line says what no host's does, and bells out of order.

use super::carries_on;
use crate::case::{Case, Course, Deed, Expect};
use crate::host::{ECHO, Lock, Start};
use crate::wire::Body;
use knit_proto::{Features, LaneState, Tag};

/// First number of these cases. They end below 380.
const FIRST: u32 = 320;

/// The cases. Rows are only ever added at the end.
pub(super) fn all() -> Vec<Case> {
    let mut rows = before();
    rows.extend(locks());
    rows.extend(later());
    rows.extend(bells());
    (FIRST..)
        .zip(rows)
        .map(|(number, (name, clause, expect, start, course))| Case {
            number,
            name: format!("control-{name}"),
            clause,
            expect,
            deed: Deed::Host(start, course),
        })
        .collect()
}

type Row = (String, &'static str, Expect, Start, Course);

/// What stands there when the worker starts.
fn before() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for state in [0, 3, 7, u32::MAX] {
        let start = Start { state, ..Start::default() };
        rows.push((
            format!("starts-in-state-{state}"),
            "LANE-5",
            Expect::Refuses,
            start,
            carries_on(),
        ));
    }
    for epoch in [0, 6, 8, u32::MAX] {
        let start = Start { epoch, ..Start::default() };
        rows.push((
            format!("starts-in-epoch-{epoch}"),
            "LANE-4",
            Expect::Refuses,
            start,
            carries_on(),
        ));
    }
    let state = LaneState::Closing.word();
    let start = Start { state, ..Start::default() };
    rows.push(("starts-closing".into(), "LANE-20", Expect::Carries, start, carries_on()));
    rows
}

/// Features that the host locks, or does not, before its first request.
fn locks() -> Vec<Row> {
    let first = || -> Course { Box::new(|stage| stage.offend(ECHO, &Body::bare(Tag::NULL))) };
    let row = |name: &str, clause, lock| -> Row {
        let start = Start { lock, ..Start::default() };
        (name.to_owned(), clause, Expect::Rejects, start, first())
    };
    let stamps = Features::STAMPS.bits();
    vec![
        row("locks-nothing", "LANE-9", Lock::Nothing),
        row("locks-one-more", "LANE-11", Lock::Flipped(1 << 20)),
        row("locks-stamps-the-other-way", "LANE-11", Lock::Flipped(stamps)),
        row("locks-all-flipped", "LANE-11", Lock::Flipped(u32::MAX)),
    ]
}

/// What stands there later.
fn later() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut reject = |name: String, clause, course: Course| {
        rows.push((name, clause, Expect::Rejects, Start::default(), course));
    };
    for state in [0, 3, 7, 1 << 31, u32::MAX] {
        let course: Course = Box::new(move |stage| {
            stage.probe()?;
            stage.line.store(stage.line.mine().state, state);
            stage.line.ring();
            Ok(())
        });
        reject(format!("state-{state}"), "LANE-3", course);
    }
    for epoch in [0, 6, 8, u32::MAX] {
        let course: Course = Box::new(move |stage| {
            stage.probe()?;
            stage.line.store(stage.line.mine().epoch, epoch);
            stage.line.ring();
            Ok(())
        });
        reject(format!("epoch-{epoch}"), "LANE-4", course);
    }
    for bits in [1, 8, 1 << 20, u32::MAX] {
        let course: Course = Box::new(move |stage| {
            stage.probe()?;
            stage.line.store(stage.line.mine().features, stage.features ^ bits);
            stage.line.ring();
            Ok(())
        });
        reject(format!("features-flip-{bits:x}"), "LANE-11", course);
    }
    let mut carry = |name: &str, clause, course: Course| {
        rows.push((name.to_owned(), clause, Expect::Carries, Start::default(), course));
    };
    carry(
        "pid-changes",
        "LANE-4",
        Box::new(|stage| {
            stage.line.store(stage.line.mine().pid, u32::MAX);
            stage.probe()
        }),
    );
    carry(
        "reserved-words",
        "SEG-14",
        Box::new(|stage| {
            let start = stage.line.mine().state.bytes();
            for at in (24..128).step_by(4) {
                stage.line.store_at(start + at, u32::MAX);
            }
            stage.line.ring();
            stage.probe()
        }),
    );
    carry(
        "worker-line-overwritten",
        "MBX-15",
        Box::new(|stage| {
            stage.probe()?;
            let control = stage.line.theirs();
            for at in [control.state, control.epoch, control.features, control.pid, control.bell] {
                stage.line.store(at, u32::MAX);
            }
            stage.line.ring();
            stage.probe()
        }),
    );
    carry(
        "rest-of-the-extension",
        "SEG-14",
        Box::new(|stage| {
            let start = stage.line.layout.extension().at();
            for at in (192..4096).step_by(4) {
                stage.line.store_at(start + at, 0xa5a5_a5a5);
            }
            stage.probe()
        }),
    );
    rows
}

/// Storms, silence, and flags that mean nothing.
fn bells() -> Vec<Row> {
    let row = |name: &str, clause, course: Course| -> Row {
        (name.to_owned(), clause, Expect::Carries, Start::default(), course)
    };
    let mut rows = vec![
        row(
            "bell-storm",
            "WAKE-5",
            Box::new(|stage| {
                for round in 0..20_000_u32 {
                    stage.line.ring();
                    if round % 4000 == 0 {
                        stage.probe()?;
                    }
                }
                stage.probe()
            }),
        ),
        row(
            "bell-goes-back",
            "WAKE-1",
            Box::new(|stage| {
                for bell in [u32::MAX, 0, 5, 4, 1 << 31, 4, 4] {
                    stage.line.ring_with(bell);
                    stage.probe()?;
                }
                Ok(())
            }),
        ),
        row(
            "bell-long-silence",
            "WAKE-1",
            Box::new(|stage| {
                // The worker parks; then the request is there, and nobody rings.
                stage.probe()?;
                let (call, raw) = stage.echo_of(&Body::text("quiet"));
                let parked = stage.line.theirs().parked;
                stage.until("worker that parks", |stage| {
                    Ok((stage.line.load(parked) != 0).then_some(()))
                })?;
                stage.line.post(&raw);
                stage.line.ring();
                stage.expect_back(call, &raw)
            }),
        ),
        row(
            "bell-not-waited-on",
            "WAKE-4",
            Box::new(|stage| {
                // The word changes and nobody is woken: a worker that announces itself sees it.
                let bell = stage.line.mine().bell;
                for round in 0..50 {
                    stage.line.store(bell, 1000 + round);
                    stage.probe()?;
                }
                Ok(())
            }),
        ),
    ];
    for flag in [1, 2, 1 << 31, u32::MAX] {
        rows.push(row(
            &format!("parked-{flag}"),
            "WAKE-2",
            Box::new(move |stage| {
                stage.line.store(stage.line.mine().parked, flag);
                (0..20).try_for_each(|_| stage.probe())
            }),
        ));
    }
    rows.push(row(
        "worker-parked-flag-cleared",
        "MBX-15",
        Box::new(|stage| {
            let parked = stage.line.theirs().parked;
            for _ in 0..20 {
                stage.line.store(parked, 0);
                stage.probe()?;
            }
            Ok(())
        }),
    ));
    rows.push((
        "closes-and-opens".to_owned(),
        "LANE-3",
        Expect::Survives,
        Start::default(),
        Box::new(|stage| {
            let state = stage.line.mine().state;
            stage.line.store(state, LaneState::Closing.word());
            stage.line.store(state, LaneState::Open.word());
            stage.line.ring();
            Ok(())
        }),
    ));
    rows.push((
        "closes-with-32-requests".to_owned(),
        "LANE-20",
        Expect::Carries,
        Start::default(),
        Box::new(|stage| {
            for _ in 0..32 {
                stage.submit(ECHO, &Body::text("late"))?;
            }
            stage.close()
        }),
    ));
    rows
}
