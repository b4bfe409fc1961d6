//! A doorbell for waits that never sleep.

use super::{Doorbell, PeerDeath, Ticket, Until, Woken};
use crate::{Relax, SharedWord};
use std::time::Instant;

/// Looks at the bells until one is rung. Never sleeps, so nobody needs to be woken.
///
/// For a core that has nothing else to do. The wait gives its time slice up now and then, for the
/// machine that has fewer cores than spinning threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpinBell;

/// Looks at the bells between two looks at the clock: reading it costs as much as some looks.
const LOOKS_PER_CLOCK: u32 = 64;
/// Looks after which the time slice is given up at each look at the clock: about a hundred
/// microseconds.
const PATIENT: u32 = 4096;

impl<W: SharedWord> Doorbell<W> for SpinBell {
    fn ticket(&self, bell: &W) -> Ticket {
        Ticket { bell: bell.load_acquire(), local: 0 }
    }

    fn wait_any(&self, bells: &[(&W, Ticket)], until: Until<'_>) -> Woken {
        let end = until.timeout.map(|timeout| Instant::now().checked_add(timeout));
        let mut relax = Relax::new();
        let mut looks = 0_u32;
        loop {
            if until.deaths.iter().any(PeerDeath::is_signalled) {
                return Woken::PeerDied;
            }
            if bells.iter().any(|(bell, ticket)| bell.load_acquire() != ticket.bell) {
                return Woken::Rung;
            }
            if looks.is_multiple_of(LOOKS_PER_CLOCK) {
                // A time that no clock can show does not come.
                if end.flatten().is_some_and(|end| Instant::now() >= end) {
                    return Woken::TimedOut;
                }
                if looks >= PATIENT {
                    std::thread::yield_now();
                }
            }
            looks = looks.checked_add(1).unwrap_or(PATIENT);
            relax.moment();
        }
    }

    fn wake(&self, _: &W) {}
}
