//! Which lane is asked first to take a call.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Which lane gets a call. A lane that has no room passes the call on to the next one; when none has
/// room it waits in the pool's queue, which belongs to all lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Balancer {
    /// The lane that took the last call, if it has answered everything: its worker is awake and its
    /// cache is warm. Else an idle lane, the next one in rotation. Else the one with the fewest calls.
    #[default]
    Warm,
    /// One lane after the other.
    RoundRobin,
    /// The first lane that is idle; when none is, one after the other.
    FirstIdle,
    /// Any lane.
    Random,
    /// The first lane that is idle; when none is, any lane.
    FirstIdleOrRandom,
    /// The lane with the fewest calls; of several, the next one in rotation.
    LeastLoaded,
}

/// The choice of one pool.
#[derive(Debug)]
pub(super) struct Picker {
    balancer: Balancer,
    /// The lane that took the last call.
    last: AtomicUsize,
    /// State of the generator.
    random: AtomicU64,
}

impl Picker {
    pub(super) fn new(balancer: Balancer) -> Self {
        let seed = u64::from(std::process::id()) | 1 << 32;
        Self { balancer, last: AtomicUsize::new(0), random: AtomicU64::new(seed) }
    }

    /// The lane to ask first, of so many. `load` tells how many calls are with a lane, as far as can be known without
    /// its lock.
    #[inline]
    pub(super) fn pick(&self, lanes: usize, load: impl Fn(usize) -> u32) -> usize {
        // Relaxed: any rotation will do.
        let last = self.last.load(Ordering::Relaxed);
        let rotation = move || (1..=lanes).map(move |n| (last + n) % lanes);
        let next = (last + 1) % lanes;
        let first_idle = || (0..lanes).find(|lane| load(*lane) == 0);
        match self.balancer {
            Balancer::Warm if load(last) == 0 => last,
            Balancer::Warm | Balancer::LeastLoaded => {
                // The first of the least ones: an idle one, if there is one.
                rotation().min_by_key(|lane| load(*lane)).unwrap_or(next)
            }
            Balancer::RoundRobin => next,
            Balancer::FirstIdle => first_idle().unwrap_or(next),
            Balancer::Random => self.random(lanes),
            Balancer::FirstIdleOrRandom => first_idle().unwrap_or_else(|| self.random(lanes)),
        }
    }

    /// The lane that took the call.
    #[inline]
    pub(super) fn took(&self, lane: usize) {
        // Relaxed: see `pick`. Most often it is the same lane, and its line stays where it is.
        if self.last.load(Ordering::Relaxed) != lane {
            self.last.store(lane, Ordering::Relaxed);
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): a counter, mixed.
    fn random(&self, lanes: usize) -> usize {
        let seed = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Below `lanes`.
        ((mixed ^ mixed >> 31) % lanes as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lanes that are asked, when each takes the call and keeps it.
    fn picks(balancer: Balancer, mut loads: Vec<u32>, calls: usize) -> Vec<usize> {
        let picker = Picker::new(balancer);
        (0..calls)
            .map(|_| {
                let lane = picker.pick(loads.len(), |lane| loads[lane]);
                picker.took(lane);
                loads[lane] = loads[lane].saturating_add(1);
                lane
            })
            .collect()
    }

    #[test]
    fn each_asks_in_its_order() {
        let from = |balancer, loads: &[u32]| picks(balancer, loads.to_vec(), 6);
        assert_eq!(from(Balancer::RoundRobin, &[0, 5, 0]), [1, 2, 0, 1, 2, 0]);
        assert_eq!(from(Balancer::FirstIdle, &[3, 0, 0]), [1, 2, 0, 1, 2, 0]);
        assert_eq!(from(Balancer::LeastLoaded, &[3, 0, 1]), [1, 2, 1, 2, 1, 2]);
        assert_eq!(from(Balancer::Warm, &[0, 0, 2]), [0, 1, 0, 1, 2, 0]);
        // Lanes without a worker have the highest load.
        assert_eq!(from(Balancer::Warm, &[u32::MAX, 0, 0]), [1, 2, 1, 2, 1, 2]);
        for balancer in [Balancer::Warm, Balancer::LeastLoaded, Balancer::Random] {
            assert_eq!(picks(balancer, vec![7], 3), [0, 0, 0]);
        }
    }

    #[test]
    fn an_idle_warm_lane_is_asked_again() {
        let picker = Picker::new(Balancer::Warm);
        picker.took(2);
        assert_eq!((0..3).map(|_| picker.pick(3, |_| 0)).collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(picker.pick(3, |lane| u32::from(lane == 2)), 0);
    }

    #[test]
    fn random_reaches_every_lane_about_equally_often() {
        let mut counts = [0; 7];
        for lane in picks(Balancer::Random, vec![1; 7], 7000) {
            counts[lane] += 1;
        }
        assert!(counts.iter().all(|count| (700..1300).contains(count)), "{counts:?}");
        let first = picks(Balancer::FirstIdleOrRandom, vec![9, 0, 9], 100);
        assert!(first[0] == 1 && (0..3).all(|lane| first.contains(&lane)));
    }
}
