//! What the demo writes: lines on the standard output, and a bar on a terminal while work goes on.

use super::DemoError;
use console::{Term, style};
use core::fmt::{self, Display};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Stdout, Write};

/// Where the demo writes to. Bold and colour appear on terminals only.
#[derive(Debug)]
pub struct Screen {
    out: Stdout,
    /// Whether there is a line already.
    started: bool,
}

impl Screen {
    /// The standard output.
    pub fn new() -> Self {
        Self { out: io::stdout(), started: false }
    }

    /// A line.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn line(&mut self, text: fmt::Arguments<'_>) -> Result<(), DemoError> {
        self.started = true;
        writeln!(self.out, "{text}").map_err(DemoError::Print)
    }

    /// The first line of a part, below an empty one.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn heading(&mut self, text: fmt::Arguments<'_>) -> Result<(), DemoError> {
        if self.started {
            self.line(format_args!(""))?;
        }
        self.line(format_args!("{}", style(text).bold()))
    }

    /// A bar for work in `chunks`; where no bar can be seen, a line that says what goes on.
    ///
    /// # Errors
    ///
    /// The line cannot be written.
    pub fn progress(&mut self, what: &str, chunks: u32) -> Result<Progress, DemoError> {
        let bar = ProgressBar::with_draw_target(
            Some(chunks.into()),
            ProgressDrawTarget::term(Term::stderr(), REDRAWS_PER_SECOND),
        );
        if bar.is_hidden() {
            self.line(format_args!("  {what}: {chunks} chunks"))?;
        }
        let look = ProgressStyle::with_template("  {msg} {bar:32.cyan} {pos}/{len} chunks");
        bar.set_style(look.expect("the template is well-formed").progress_chars("━╸ "));
        bar.set_message(what.to_owned());
        bar.tick();
        Ok(Progress { bar })
    }
}

const REDRAWS_PER_SECOND: u8 = 20;

/// A bar that disappears when it is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// One more chunk is done.
    pub fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A mark for a result that was checked.
pub fn checked() -> impl Display {
    style("ok").green()
}

/// Such as `Workers: processes 12, 13`.
pub fn processes(noun: &str, ids: &[u32]) -> String {
    let list: Vec<_> = ids.iter().map(u32::to_string).collect();
    let (plural, es) = if ids.len() == 1 { ("", "") } else { ("s", "es") };
    format!("{noun}{plural}: process{es} {}", list.join(", "))
}

/// A whole number with a space between groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let mut groups: Vec<&str> = if head.is_empty() { Vec::new() } else { vec![head] };
    // Digits are ASCII, so every position is a boundary.
    groups.extend((0..tail.len()).step_by(3).map(|start| &tail[start..start + 3]));
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_from_the_right() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn one_process_is_not_several() {
        assert_eq!(processes("Worker", &[7]), "Worker: process 7");
        assert_eq!(processes("Worker", &[7, 8]), "Workers: processes 7, 8");
    }
}
