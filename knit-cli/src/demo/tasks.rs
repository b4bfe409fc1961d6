//! What the workers of the demo do.

use core::num::ParseIntError;
use knit_lanes::{Json, Task, Tasks};
use std::panic;
use std::process;

/// Part of a job, as a worker returns it: its process id, and what it counted.
pub type Part = Json<(u32, u32)>;

/// Numbers of a chunk of the prime search.
pub const NUMBERS_PER_CHUNK: u32 = 40_000;
/// Points of a chunk of the search for pi.
pub const POINTS_PER_CHUNK: u32 = 8_000_000;

/// Handles of the tasks.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// A number times itself.
    pub square: Task<f64, f64>,
    /// A greeting.
    pub greet: Task<String, String>,
    /// Number of primes in a chunk of [`NUMBERS_PER_CHUNK`].
    pub primes: Task<u32, Part>,
    /// Of [`POINTS_PER_CHUNK`] random points in the unit square, those in the quarter circle.
    pub points: Task<u32, Part>,
    /// Number of workers that a settings text asks for.
    pub configure: Task<String, u32>,
    /// One of three numbers; panics when there is none.
    pub pick: Task<u32, u32>,
}

/// The table, and the handles of what is in it.
#[derive(Debug)]
pub struct Table {
    /// To start a pool with.
    pub tasks: Tasks,
    /// To call with.
    pub handles: Demo,
}

/// A new table. Handles of one table do not work with a pool that has another.
pub fn table() -> Table {
    let mut tasks = Tasks::new();
    let handles = Demo {
        square: tasks.add("square", |number: f64| number * number),
        greet: tasks.add("greet", |name: String| greeting(&name, process::id())),
        primes: tasks.add("primes", |chunk| part(primes(chunk))),
        points: tasks.add("points", |chunk| part(points_inside(chunk, POINTS_PER_CHUNK))),
        configure: tasks.add("configure", |text: String| configure(&text)),
        pick: tasks.add("pick", pick),
    };
    Table { tasks, handles }
}

/// Turns this process into a worker of the demo when it was started as one; never returns then.
pub fn serve_if_worker() {
    if std::env::var_os(knit_lanes::BOOT_ENV).is_some() {
        // The demo shows the panic of its task as the error that it becomes. The default hook would
        // print it once more, into the middle of the output.
        panic::set_hook(Box::new(|_| {}));
    }
    table().tasks.serve_if_worker();
}

/// What `greet` returns in process `id`.
pub fn greeting(name: &str, id: u32) -> String {
    format!("hello {name}, from process {id}")
}

fn part(count: u32) -> Part {
    Json((process::id(), count))
}

/// Counts the primes of a chunk, the plain way.
fn primes(chunk: u32) -> u32 {
    let first = chunk * NUMBERS_PER_CHUNK;
    let count = (first..first + NUMBERS_PER_CHUNK).filter(|number| is_prime(*number)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn is_prime(number: u32) -> bool {
    if number < 4 {
        return number > 1;
    }
    let mut divisors = (2..3).chain((3..).step_by(2));
    divisors
        .find(|divisor| divisor * divisor > number || number.is_multiple_of(*divisor))
        .is_some_and(|divisor| !number.is_multiple_of(divisor))
}

/// Throws points at the unit square and counts those within distance 1 of the origin. The same for
/// the same chunk, wherever it runs.
fn points_inside(chunk: u32, points: u32) -> u32 {
    /// Coordinates are multiples of 2 to the power of -31.
    const ONE: u64 = 1 << 31;
    // Chunks start at places of the generator's period that have nothing to do with each other.
    let mut random = SplitMix64(SplitMix64(chunk.into()).next());
    let mut inside = 0;
    for _ in 0..points {
        let bits = random.next();
        let (x, y) = (bits >> 33, bits & (ONE - 1));
        inside += u32::from(x * x + y * y < ONE * ONE);
    }
    inside
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

/// A task that fails: what it returns has two sources.
fn configure(text: &str) -> Result<u32, ConfigureError> {
    let count = text.strip_prefix("workers = ").unwrap_or(text);
    count.parse().map_err(|source| ConfigureError { source: ValueError { source } })
}

#[derive(Debug, thiserror::Error)]
#[error("the settings cannot be used")]
struct ConfigureError {
    source: ValueError,
}

#[derive(Debug, thiserror::Error)]
#[error("`workers` is not a number")]
struct ValueError {
    source: ParseIntError,
}

/// A task that panics for 3 and above.
fn pick(index: u32) -> u32 {
    [20, 30, 50][index as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::PI;

    #[test]
    fn small_primes_are_known() {
        let found: Vec<_> = (0..50).filter(|number| is_prime(*number)).collect();
        assert_eq!(found, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47]);
        // The number of primes below 40 000.
        assert_eq!(primes(0), 4203);
    }

    #[test]
    fn generator_gives_the_published_sequence() {
        // Of the reference implementation by Vigna, seed 1234567.
        let mut random = SplitMix64(1_234_567);
        let found = [random.next(), random.next(), random.next()];
        assert_eq!(
            found,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn chunks_of_points_differ_and_repeat() {
        let counts: Vec<_> = (0..4).map(|chunk| points_inside(chunk, 10_000)).collect();
        assert_eq!(counts[1], points_inside(1, 10_000));
        assert!(counts.windows(2).all(|pair| pair[0] != pair[1]), "{counts:?}");
        // Four standard errors of 10 000 points are 0.066.
        let near = |count: &u32| (f64::from(*count) / 2500.0 - PI).abs() < 0.07;
        assert!(counts.iter().all(near), "{counts:?}");
    }

    #[test]
    fn settings_are_read() {
        assert_eq!(configure("workers = 4").unwrap(), 4);
        assert!(configure("workers = two").is_err());
    }
}
