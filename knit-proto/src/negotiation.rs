//! What two sides agree on before the first call, and that they keep to it.
//!
//! ```text
//!            host                                 worker
//! offered    header: required, optional
//!            epoch, state open (E6)          -->  checks state and epoch
//! accepted   checks epoch and features       <--  epoch, features, state open (E6)
//! locked     features = the accepted ones    -->  checks them when the first request comes (E1)
//! ```
//!
//! From then on the words of the other side change in one way only: its state grows. Whoever sees
//! anything else sees a violation. Words are loaded by the caller, once for each look; the state
//! with acquire ordering, before the others.

use crate::{Features, HeaderFields, LaneState, ProtocolViolation};

/// Words of the other side's control line, as loaded. Untrusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RawControl {
    /// The state word.
    pub state: u32,
    /// The epoch word.
    pub epoch: u32,
    /// The features word.
    pub features: u32,
}

/// How far the two sides are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The other side has not spoken yet.
    Offered,
    /// The worker has accepted some features; the host has not locked them.
    Accepted,
    /// These features are in force until the lane ends.
    Locked,
}

/// One side's view of the other side's control line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiation {
    side: Side,
    required: Features,
    offered: Features,
    epoch: u32,
    /// State of the other side, as it was seen last.
    state: LaneState,
    /// What this side takes to be in force: accepted by the worker, whoever that is.
    accepted: Option<Features>,
    phase: Phase,
    /// Whether this side has stored that it is closing.
    closing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Host,
    Worker,
}

impl Negotiation {
    /// The view of the host that made a segment with these fields.
    #[must_use]
    pub const fn of_host(fields: &HeaderFields) -> Self {
        Self::new(Side::Host, fields, None)
    }

    /// The view of a worker that knows `supported` features and has attached to a segment with these
    /// fields: it accepts every required feature and every optional one that it knows. SEG-9.
    #[must_use]
    pub const fn of_worker(fields: &HeaderFields, supported: Features) -> Self {
        let accepted = fields.required.or(fields.optional.and(supported));
        Self::new(Side::Worker, fields, Some(accepted))
    }

    const fn new(side: Side, fields: &HeaderFields, accepted: Option<Features>) -> Self {
        Self {
            side,
            required: fields.required,
            offered: fields.required.or(fields.optional),
            epoch: fields.epoch,
            state: LaneState::Absent,
            accepted,
            phase: Phase::Offered,
            closing: false,
        }
    }

    /// Takes note of the other side's control line, and returns its state.
    ///
    /// # Errors
    ///
    /// [`ProtocolViolation::State`], [`ProtocolViolation::Epoch`], [`ProtocolViolation::Features`] or
    /// [`ProtocolViolation::FeaturesChanged`]. What was agreed on stays as it was.
    pub fn observe(&mut self, line: RawControl) -> Result<LaneState, ProtocolViolation> {
        let wrong = ProtocolViolation::State { state: line.state };
        let state = LaneState::from_word(line.state).ok_or(wrong)?;
        // LANE-3: a state only grows. LANE-5: a host has spoken before its worker starts. LANE-12: a
        // worker leaves after its host.
        let too_early = match self.side {
            Side::Host => state == LaneState::Closing && !self.closing,
            Side::Worker => state == LaneState::Absent,
        };
        if state.word() < self.state.word() || too_early {
            return Err(wrong);
        }
        if state == LaneState::Absent {
            return Ok(state);
        }
        if line.epoch != self.epoch {
            return Err(ProtocolViolation::Epoch { expected: self.epoch, found: line.epoch });
        }
        let found = Features::from_bits(line.features);
        self.phase = match (self.side, self.accepted) {
            (Side::Host, None) => {
                if !self.offered.contains(found) || !found.contains(self.required) {
                    let (offered, accepted) = (self.offered.bits(), found.bits());
                    return Err(ProtocolViolation::Features { offered, accepted });
                }
                self.accepted = Some(found);
                Phase::Accepted
            }
            // The host has not locked yet.
            (Side::Worker, Some(_)) if found.is_empty() && self.phase != Phase::Locked => {
                Phase::Accepted
            }
            (_, Some(accepted)) if found.bits() != accepted.bits() => {
                return Err(ProtocolViolation::FeaturesChanged {
                    locked: accepted.bits(),
                    found: found.bits(),
                });
            }
            (Side::Host, Some(_)) => self.phase,
            (Side::Worker, _) => Phase::Locked,
        };
        self.state = state;
        Ok(state)
    }

    /// Host: the features to store into the own control line before the first request is published;
    /// `None` while the worker has not accepted any. From here on they are in force. LANE-9.
    pub fn lock(&mut self) -> Option<Features> {
        let accepted = self.accepted?;
        self.phase = Phase::Locked;
        Some(accepted)
    }

    /// Worker: takes note of the host's control line, loaded after a request was taken.
    ///
    /// # Errors
    ///
    /// As [`Self::observe`], and [`ProtocolViolation::NotLocked`] when the host has published a
    /// request before it locked the features.
    pub fn observe_locked(&mut self, line: RawControl) -> Result<LaneState, ProtocolViolation> {
        let state = self.observe(line)?;
        let accepted = self.accepted.unwrap_or(Features::NONE);
        if self.phase != Phase::Locked && !accepted.is_empty() {
            return Err(ProtocolViolation::NotLocked { accepted: accepted.bits() });
        }
        self.phase = Phase::Locked;
        Ok(state)
    }

    /// This side has stored, or is about to store, that it is closing.
    pub fn leave(&mut self) {
        self.closing = true;
    }

    /// How far the two sides are.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The features that the worker has accepted, once it has.
    #[must_use]
    pub const fn accepted(&self) -> Option<Features> {
        self.accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CreatorId, ExtensionBytes, Geometry, LaneKind, Version};

    const EPOCH: u32 = 7;
    const BOTH: u32 = Features::STAMPS.bits() | Features::FUTEX_BELLS.bits();

    fn fields() -> HeaderFields {
        HeaderFields {
            version: Version::CURRENT,
            required: Features::FUTEX_BELLS,
            optional: Features::STAMPS.or(Features::RECORDER),
            epoch: EPOCH,
            creator: CreatorId::default(),
            kind: LaneKind::Process,
            geometry: Geometry::new(128, 128, 0).unwrap(),
            extension: ExtensionBytes::MIN,
            tasks: 0,
            request_reserved: 0,
            response_reserved: 0,
        }
    }

    const fn line(state: u32, epoch: u32, features: u32) -> RawControl {
        RawControl { state, epoch, features }
    }

    fn host() -> Negotiation {
        Negotiation::of_host(&fields())
    }

    fn worker() -> Negotiation {
        Negotiation::of_worker(&fields(), Features::SUPPORTED)
    }

    /// SEG-9, LANE-9, LANE-11.
    #[test]
    fn offered_then_accepted_then_locked() {
        let (mut host, mut worker) = (host(), worker());
        assert_eq!((host.phase(), worker.phase()), (Phase::Offered, Phase::Offered));
        assert_eq!(worker.observe(line(1, EPOCH, 0)), Ok(LaneState::Open));
        assert_eq!(worker.phase(), Phase::Accepted);
        assert_eq!(worker.accepted().map(Features::bits), Some(BOTH));
        assert_eq!(host.observe(line(0, 0, 0)), Ok(LaneState::Absent));
        assert_eq!((host.lock(), host.phase()), (None, Phase::Offered));
        assert_eq!(host.observe(line(1, EPOCH, BOTH)), Ok(LaneState::Open));
        assert_eq!(host.phase(), Phase::Accepted);
        assert_eq!(host.lock().map(Features::bits), Some(BOTH));
        assert_eq!(worker.observe_locked(line(1, EPOCH, BOTH)), Ok(LaneState::Open));
        assert_eq!((host.phase(), worker.phase()), (Phase::Locked, Phase::Locked));
    }

    /// LANE-11.
    #[test]
    fn features_never_change_after_they_were_seen() {
        let mut host = host();
        host.observe(line(1, EPOCH, BOTH)).unwrap();
        for found in [0, Features::FUTEX_BELLS.bits(), BOTH | 2, u32::MAX] {
            let changed = ProtocolViolation::FeaturesChanged { locked: BOTH, found };
            assert_eq!(host.observe(line(1, EPOCH, found)), Err(changed));
        }
        let mut worker = worker();
        worker.observe(line(1, EPOCH, BOTH)).unwrap();
        let changed = ProtocolViolation::FeaturesChanged { locked: BOTH, found: 0 };
        assert_eq!(worker.observe(line(1, EPOCH, 0)), Err(changed));
    }

    /// LANE-9.
    #[test]
    fn a_request_before_the_lock_is_a_violation() {
        let mut worker = worker();
        worker.observe(line(1, EPOCH, 0)).unwrap();
        let early = ProtocolViolation::NotLocked { accepted: BOTH };
        assert_eq!(worker.observe_locked(line(1, EPOCH, 0)), Err(early));
    }

    /// SEG-9.
    #[test]
    fn more_than_offered_or_less_than_required_is_refused() {
        for accepted in
            [0, Features::STAMPS.bits(), BOTH | 1 << 31, BOTH | Features::EVENTFD.bits()]
        {
            let mut host = host();
            let offered = fields().required.or(fields().optional).bits();
            let wrong = ProtocolViolation::Features { offered, accepted };
            assert_eq!(host.observe(line(1, EPOCH, accepted)), Err(wrong));
            assert_eq!(host.phase(), Phase::Offered);
        }
    }

    /// LANE-3, LANE-5, LANE-12.
    #[test]
    fn states_only_grow_and_come_in_their_order() {
        let wrong = |state| Err(ProtocolViolation::State { state });
        let mut host = host();
        assert_eq!(host.observe(line(3, EPOCH, BOTH)), wrong(3));
        assert_eq!(host.observe(line(2, EPOCH, BOTH)), wrong(2));
        host.observe(line(1, EPOCH, BOTH)).unwrap();
        assert_eq!(host.observe(line(0, EPOCH, BOTH)), wrong(0));
        host.leave();
        assert_eq!(host.observe(line(2, EPOCH, BOTH)), Ok(LaneState::Closing));
        assert_eq!(host.observe(line(1, EPOCH, BOTH)), wrong(1));
        let mut worker = worker();
        assert_eq!(worker.observe(line(0, EPOCH, 0)), wrong(0));
        assert_eq!(worker.observe(line(2, EPOCH, 0)), Ok(LaneState::Closing));
        assert_eq!(worker.observe(line(1, EPOCH, 0)), wrong(1));
    }

    /// LANE-4.
    #[test]
    fn another_epoch_is_refused_at_every_look() {
        let wrong = Err(ProtocolViolation::Epoch { expected: EPOCH, found: 8 });
        let mut host = host();
        assert_eq!(host.observe(line(1, 8, BOTH)), wrong);
        host.observe(line(1, EPOCH, BOTH)).unwrap();
        assert_eq!(host.observe(line(1, 8, BOTH)), wrong);
        assert_eq!(worker().observe(line(1, 8, 0)), wrong);
    }
}
