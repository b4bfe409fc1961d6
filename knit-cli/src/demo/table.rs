//! A table of figures.

use super::screen::grouped;
use core::fmt;

/// Figures of one way to get an answer from another process.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which way.
    pub name: &'static str,
    /// Answers that were timed.
    pub calls: u64,
    /// Mean time of an answer, in nanoseconds.
    pub mean: f64,
    /// Round trips timed one by one, in nanoseconds: the 50th and the 99th percentile.
    pub percentiles: Option<[f64; 2]>,
}

/// Rows, each compared with a reference.
#[derive(Clone, Debug)]
pub struct Table {
    /// What is compared.
    pub rows: Vec<Row>,
    /// Mean time of the reference, in nanoseconds.
    pub reference: f64,
}

const HEADINGS: [&str; 7] = ["", "calls", "calls/s", "per call", "p50", "p99", "ratio"];

impl fmt::Display for Table {
    /// The first column is aligned left, numbers are aligned right. No line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![HEADINGS.map(str::to_owned)];
        lines.extend(self.rows.iter().map(|row| row.cells(self.reference)));
        let width = |column: usize| {
            lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default()
        };
        let widths: [usize; HEADINGS.len()] = core::array::from_fn(width);
        for (index, cells) in lines.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "  {:<width$}", cells[0], width = widths[0])?;
            for (cell, width) in cells.iter().zip(widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
        }
        Ok(())
    }
}

impl Row {
    fn cells(&self, reference: f64) -> [String; HEADINGS.len()] {
        let percentile = |index: usize| match self.percentiles {
            Some(values) => time(values[index]),
            None => "-".to_owned(),
        };
        // A rate that is too large saturates.
        let rate = (1e9 / self.mean).round() as u64;
        [
            self.name.to_owned(),
            grouped(self.calls),
            grouped(rate),
            time(self.mean),
            percentile(0),
            percentile(1),
            format!("{:.1}", self.mean / reference),
        ]
    }
}

/// A time of so many nanoseconds, to about three digits.
pub fn time(nanoseconds: f64) -> String {
    if nanoseconds >= 999_950.0 {
        format!("{:.1} ms", nanoseconds / 1e6)
    } else if nanoseconds >= 9_999.5 {
        format!("{:.1} us", nanoseconds / 1e3)
    } else {
        format!("{nanoseconds:.0} ns")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![
            Row { name: "short", calls: 1000, mean: 50.0, percentiles: Some([49.0, 12_340.0]) },
            Row { name: "a longer one", calls: 5, mean: 125.0, percentiles: None },
        ];
        let table = Table { rows, reference: 50.0 }.to_string();
        let expected = [
            "                calls     calls/s  per call    p50      p99  ratio",
            "  short         1 000  20 000 000     50 ns  49 ns  12.3 us    1.0",
            "  a longer one      5   8 000 000    125 ns      -        -    2.5",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn times_have_a_fitting_unit() {
        for (nanoseconds, text) in [
            (49.4, "49 ns"),
            (9_999.4, "9999 ns"),
            (9_999.6, "10.0 us"),
            (999_949.0, "999.9 us"),
            (999_951.0, "1.0 ms"),
        ] {
            assert_eq!(time(nanoseconds), text);
        }
    }
}
