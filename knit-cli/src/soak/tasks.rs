//! What the workers of a soak do, and what a caller expects of it.

use super::ledger::{Id, Ledger};
use super::noise::{fill, hash, mix};
use super::{Mischief, SoakError};
use knit_lanes::{SharedBuffer, Task, TaskContext, Tasks, Value};
use std::time::{Duration, Instant};

/// Bytes at the begin of a payload that say which call it belongs to.
pub const ID_BYTES: usize = 8;
/// How long a task lingers that nobody aborts.
const LINGER: Duration = Duration::from_millis(3);
/// One call of so many is spoiled where mischief is asked for.
const ONE_OF: u64 = 1009;

/// Handles of the tasks.
#[derive(Clone, Copy, Debug)]
pub struct Handles {
    /// The number of a call; gives [`answer`].
    pub number: Task<f64, f64>,
    /// The same, but it takes its time unless it is aborted.
    pub linger: Task<f64, f64>,
    /// Fails, or panics, with [`failure`].
    pub fail: Task<f64, f64>,
    /// [`request`]; gives [`reply`].
    pub bytes: Task<Vec<u8>, Vec<u8>>,
    /// [`request`] in a shared buffer; leaves [`rewritten`] in there, and gives the hash of what it found.
    pub buffer: Task<SharedBuffer, f64>,
    /// Any value there and back. It does not say to which call it belongs.
    pub value: Task<Value, Value>,
}

/// The table of the host.
pub fn declare(tasks: &mut Tasks) -> Handles {
    Handles {
        number: tasks.declare("number"),
        linger: tasks.declare("linger"),
        fail: tasks.declare("fail"),
        bytes: tasks.declare("bytes"),
        buffer: tasks.declare("buffer"),
        value: tasks.declare("value"),
    }
}

/// The table of a worker.
pub fn serve(ledger: &Ledger, mischief: Option<Mischief>) -> Tasks {
    let mut tasks = Tasks::new();
    let run = {
        let ledger = ledger.clone();
        move |packed: u64| {
            let id = Id::unpack(packed);
            ledger.count_run(id);
            let chosen = mix(packed).is_multiple_of(ONE_OF);
            if chosen && mischief == Some(Mischief::Twice) {
                ledger.count_run(id);
            }
            chosen && mischief == Some(Mischief::Wrong)
        }
    };
    // A float of the host is the number of a call.
    let number = run.clone();
    tasks
        .add("number", move |packed: f64| answer(packed as u64) + f64::from(number(packed as u64)));
    let number = run.clone();
    tasks.add_with_context("linger", move |context: &TaskContext<'_>, packed: f64| {
        number(packed as u64);
        let start = Instant::now();
        while !context.is_aborted() && start.elapsed() < LINGER {
            std::thread::yield_now();
        }
        answer(packed as u64)
    });
    let number = run.clone();
    tasks.add("fail", move |packed: f64| -> Result<f64, String> {
        let packed = packed as u64;
        number(packed);
        assert!(!panics(packed), "{}", failure(packed));
        Err(failure(packed))
    });
    let bytes = run.clone();
    tasks.add("bytes", move |sent: Vec<u8>| {
        let wrong = bytes(undamaged(&sent)?);
        Ok::<_, SoakError>(if wrong { fill(0, sent.len()) } else { reply(hash(&sent), sent.len()) })
    });
    tasks.add("buffer", move |buffer: SharedBuffer| {
        let sent = buffer.to_vec();
        run(undamaged(&sent)?);
        buffer.write(0, &rewritten(hash(&sent), sent.len())).map_err(SoakError::Buffer)?;
        Ok::<_, SoakError>(short(hash(&sent)))
    });
    tasks.add("value", |value: Value| value);
    tasks
}

/// What `number` and `linger` give for a call: a whole number of a float.
pub fn answer(packed: u64) -> f64 {
    short(mix(packed))
}

/// The message of the failure of a call.
pub fn failure(packed: u64) -> String {
    format!("call {packed} fails as it should")
}

/// Whether a call of `fail` panics.
pub fn panics(packed: u64) -> bool {
    mix(packed) & 1 == 0
}

/// A payload of `len` bytes, [`ID_BYTES`] at least: the call that it belongs to, and bytes that follow from that.
pub fn request(packed: u64, len: usize) -> Vec<u8> {
    let mut bytes = packed.to_le_bytes().to_vec();
    bytes.extend(fill(packed, len.saturating_sub(ID_BYTES)));
    bytes
}

/// What `bytes` gives for a payload of this hash: up to twice as long.
pub fn reply(hash: u64, len: usize) -> Vec<u8> {
    fill(hash, mix(hash) as usize % (2 * len + 1))
}

/// What `buffer` leaves where it found bytes of this hash.
pub fn rewritten(hash: u64, len: usize) -> Vec<u8> {
    fill(!hash, len)
}

/// As much of a hash as a float carries.
pub fn short(hash: u64) -> f64 {
    (hash >> 12) as f64
}

/// The call that a payload belongs to, unless it is another one than was sent.
fn undamaged(bytes: &[u8]) -> Result<u64, SoakError> {
    let (first, _) = bytes.split_first_chunk::<ID_BYTES>().ok_or(SoakError::Damaged)?;
    let packed = u64::from_le_bytes(*first);
    if request(packed, bytes.len()) == bytes { Ok(packed) } else { Err(SoakError::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_with_one_other_byte_is_damaged() {
        for len in [8, 9, 600] {
            let sent = request(77, len);
            assert_eq!((sent.len(), undamaged(&sent).unwrap()), (len, 77));
            for at in 0..len {
                let mut other = sent.clone();
                other[at] ^= 1;
                // Eight bytes may be the name of another call.
                assert!(len == ID_BYTES || undamaged(&other).is_err(), "byte {at} of {len}");
            }
        }
        assert!(undamaged(&[0; 7]).is_err());
    }
}
