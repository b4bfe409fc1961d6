//! The moment between two polls.

/// Waits a moment between two polls of something that is about to happen.
///
/// PAUSE takes 26 ns on Zen 5 and 140 cycles on Intel cores since Skylake (Intel 64 and IA-32
/// optimisation manual), as long as a cache line takes to arrive. So between the first polls, in which
/// the answer of a spinning peer comes, stand only a few load fences, 3 ns each here: they keep the
/// processor from running ahead with loads that the arriving line would make it throw away. Later polls
/// use PAUSE, which leaves the core to its sibling thread. One line that goes to and fro is the
/// exception: there one PAUSE is best from the start.
///
/// # Examples
///
/// ```
/// use knit_ring::Relax;
///
/// let mut tries = 0;
/// let mut relax = Relax::new();
/// while tries < 1000 {
///     tries += 1;
///     relax.moment();
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Relax {
    polls: u32,
}

impl Relax {
    /// Polls with short moments between them: those of about a microsecond.
    const SHORT: u32 = 128;
    /// Load fences in a short moment. Measured: one is as good on near cores, three are better on far
    /// ones, five are worse.
    const FENCES: u32 = 3;

    /// The moment after the first poll.
    #[must_use]
    pub const fn new() -> Self {
        Self { polls: 0 }
    }

    /// Waits.
    #[inline(always)]
    pub fn moment(&mut self) {
        if self.polls < Self::SHORT {
            self.polls += 1;
            for _ in 0..Self::FENCES {
                crate::mem::wait_for_loads();
            }
        } else {
            core::hint::spin_loop();
        }
    }
}
