//! The tasks that the workers of the event-loop examples serve.

use core::time::Duration;
use knit_lanes::{Aborted, TaskContext, Tasks};
use std::time::Instant;

/// A task, by its index in the table of names that the host gives the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// A number times itself.
    Square,
    /// Waits so many milliseconds, or until nobody wants its answer any more.
    Wait,
    /// The same for a task that does not look whether anybody wants its answer.
    Hang,
    /// Ends the worker's process with this status.
    Exit,
}

impl Function {
    /// All of them, by their index.
    pub const ALL: [Self; 4] = [Self::Square, Self::Wait, Self::Hang, Self::Exit];

    /// Its index on the wire.
    #[must_use]
    pub const fn index(self) -> u16 {
        // Below four.
        self as u16
    }

    /// Its name, for boot descriptions and people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Wait => "wait",
            Self::Hang => "hang",
            Self::Exit => "exit",
        }
    }
}

/// The table of a worker.
#[must_use]
pub fn tasks() -> Tasks {
    let mut tasks = Tasks::new();
    tasks.add(Function::Square.name(), |n: f64| n * n);
    tasks.add_with_context(Function::Wait.name(), wait);
    tasks.add(Function::Hang.name(), |milliseconds: u32| {
        std::thread::sleep(Duration::from_millis(milliseconds.into()));
        milliseconds
    });
    tasks.add(Function::Exit.name(), |status: u32| -> u32 {
        std::process::exit(i32::try_from(status).unwrap_or(i32::MAX))
    });
    tasks
}

fn wait(context: &TaskContext<'_>, milliseconds: u32) -> Result<u32, Aborted> {
    let end = Instant::now() + Duration::from_millis(milliseconds.into());
    loop {
        context.check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(milliseconds);
        }
        std::thread::sleep(left.min(Duration::from_millis(1)));
    }
}
