//! Payloads: copied in, copied out, there and back or one way.

use super::SLOTS;
use super::together::{Part, Wait, timed};
use knit_cli::floor::Cpus;
use std::time::Duration;

/// Payload sizes that are measured, in bytes.
pub const SIZES: [usize; 6] = [0, 64, 512, 4 << 10, 64 << 10, 1 << 20];

/// How many payloads of `bytes` bytes every implementation has room for: large ones would push each
/// other out of the cache.
#[must_use]
pub fn room(bytes: usize) -> usize {
    if bytes <= 4 << 10 { SLOTS } else { 4 }
}

/// A way for two threads to exchange payloads.
pub trait Carrier {
    /// What each of the two has.
    type End: Carries;

    /// Name in the report.
    fn name(&self) -> String;

    /// Two ends of something new that is made for payloads of `bytes` bytes, with [`room`] for them;
    /// `None` when it cannot carry so many bytes.
    fn pair(&self, bytes: usize) -> Option<(Self::End, Self::End)>;
}

/// One end: it sends and receives.
pub trait Carries: Send {
    /// Sends a copy of `payload` if there is room, and says whether it did.
    fn send(&mut self, payload: &[u8]) -> bool;

    /// Copies the next payload into `into`, which is as long, and says whether there was one.
    fn receive(&mut self, into: &mut [u8]) -> bool;
}

#[inline]
fn send(end: &mut impl Carries, payload: &[u8]) {
    let mut wait = Wait::new();
    while !end.send(payload) {
        wait.moment();
    }
}

#[inline]
fn receive(end: &mut impl Carries, into: &mut [u8]) {
    let mut wait = Wait::new();
    while !end.receive(into) {
        wait.moment();
    }
}

/// Payloads of `bytes` bytes there and back, one at a time: four copies each. Returns how long it
/// took. The last answer is checked, and went through every round.
///
/// # Panics
///
/// The last answer holds other bytes.
pub fn echo<E: Carries>(
    cpus: &Cpus,
    here: &mut E,
    there: &mut E,
    bytes: usize,
    rounds: u64,
) -> Duration {
    let question = pattern(bytes, 1);
    let mut payload = question.clone();
    let mut private = vec![0; bytes];
    let answer: Part<'_> = Box::new(|| {
        for _ in 0..rounds {
            receive(there, &mut private);
            send(there, &private);
        }
    });
    let time = timed(cpus, vec![answer], || {
        for _ in 0..rounds {
            send(here, &payload);
            receive(here, &mut payload);
        }
    });
    assert!(payload == question, "other bytes came back");
    time
}

/// Payloads of `bytes` bytes one way: two copies each. Returns how long it took until the last one was
/// received. The last one is checked.
///
/// # Panics
///
/// The last payload holds other bytes.
pub fn one_way<E: Carries>(
    cpus: &Cpus,
    here: &mut E,
    there: &mut E,
    bytes: usize,
    messages: u64,
) -> Duration {
    let payload = pattern(bytes, 2);
    let mut private = vec![0; bytes];
    let sender: Part<'_> = Box::new(|| {
        for _ in 0..messages {
            send(there, &payload);
        }
    });
    let time = timed(cpus, vec![sender], || {
        for _ in 0..messages {
            receive(here, &mut private);
        }
    });
    assert!(messages == 0 || private == payload, "other bytes came");
    time
}

/// Checks that an implementation carries payloads of every size that it says it does: each payload
/// another one, so that a doubled, lost or torn one shows.
///
/// # Panics
///
/// It does not.
pub fn check<C: Carrier>(cpus: &Cpus, carrier: &C) {
    for bytes in SIZES {
        let Some((mut here, mut there)) = carrier.pair(bytes) else { continue };
        let (sent, name) = (&mut there, carrier.name());
        // More than there is room for.
        let messages = if room(bytes) == SLOTS { 100 } else { 10 };
        let send: Part<'_> = Box::new(|| {
            for message in 0..messages {
                send(sent, &pattern(bytes, message));
            }
        });
        timed(cpus, vec![send], || {
            let mut private = vec![0; bytes];
            for message in 0..messages {
                receive(&mut here, &mut private);
                let same = private == pattern(bytes, message);
                assert!(same, "{name}: message {message} of {bytes} bytes holds other bytes");
            }
        });
        assert!(!here.receive(&mut vec![0; bytes]), "{name}: more came than was sent");
        echo(cpus, &mut here, &mut there, bytes, 10);
    }
}

fn pattern(bytes: usize, salt: u8) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8 ^ salt).collect()
}
