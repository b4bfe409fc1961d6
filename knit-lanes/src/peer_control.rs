//! The other side's control line.

use knit_proto::{ControlLayout, RawControl};
use knit_ring::{AttachError, SharedMemory, SharedWord};

/// The words of the other side's control line that the negotiation rests on.
#[derive(Debug)]
pub(crate) struct PeerControl<M: SharedMemory> {
    state: M::Word,
    epoch: M::Word,
    features: M::Word,
}

impl<M: SharedMemory> PeerControl<M> {
    pub(crate) fn new(memory: &M, line: &ControlLayout) -> Result<Self, AttachError> {
        Ok(Self {
            state: memory.word(line.state)?,
            epoch: memory.word(line.epoch)?,
            features: memory.word(line.features)?,
        })
    }

    /// Loads the line once.
    ///
    /// # Ordering
    ///
    /// E6.
    pub(crate) fn load(&self) -> RawControl {
        // E6: acquire load, pairs with the release stores of the state by `HostLane` and `WorkerLane`.
        let state = self.state.load_acquire();
        // Relaxed, both: E6 ordered them before the state.
        let (epoch, features) = (self.epoch.load_relaxed(), self.features.load_relaxed());
        RawControl { state, epoch, features }
    }
}
