//! Control lines and the control channel, by the tables of `spec/lanes.md`.

use super::Fault;

/// A control line as it was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// State.
    pub state: u32,
    /// Epoch.
    pub epoch: u32,
    /// Bits of features.
    pub features: u32,
}

/// What one side knows of the lane, and of the other side's control line.
#[derive(Clone, Copy, Debug)]
pub struct Observer {
    /// Whether it is the host that looks.
    pub host: bool,
    /// Bits that the header requires.
    pub required: u32,
    /// Bits that the header offers besides.
    pub optional: u32,
    /// Bits that a worker knows.
    pub supported: u32,
    /// Epoch of the header.
    pub epoch: u32,
    /// Whether this side has stored that it is closing.
    pub closing: bool,
    last: u32,
    /// Of a host: what the worker accepted. Of a worker: whether the host has locked what it accepted.
    seen: Option<u32>,
}

impl Observer {
    /// A host that has not looked yet.
    #[must_use]
    pub const fn host(required: u32, optional: u32, epoch: u32) -> Self {
        let (closing, seen) = (false, None);
        Self { host: true, required, optional, supported: 0, epoch, closing, last: 0, seen }
    }

    /// A worker that has not looked yet.
    #[must_use]
    pub const fn worker(required: u32, optional: u32, supported: u32, epoch: u32) -> Self {
        Self { host: false, supported, ..Self::host(required, optional, epoch) }
    }

    /// What the worker has accepted, once that is known.
    #[must_use]
    pub const fn accepted(&self) -> Option<u32> {
        if self.host { self.seen } else { Some(self.required | self.optional & self.supported) }
    }

    /// Looks at a line. `request`: because a request was taken.
    ///
    /// # Errors
    ///
    /// The lane does not go on.
    pub fn look(&mut self, line: Line, request: bool) -> Result<u32, Fault> {
        if line.state > 2 || line.state < self.last {
            return Err("state");
        }
        let early = if self.host { line.state == 2 && !self.closing } else { line.state == 0 };
        if early {
            return Err("state");
        }
        if line.state > 0 {
            if line.epoch != self.epoch {
                return Err("epoch_mismatch");
            }
            match self.accepted() {
                None => {
                    let offered = self.required | self.optional;
                    let fine = line.features & !offered == 0
                        && line.features & self.required == self.required;
                    if !fine {
                        return Err("features");
                    }
                    self.seen = Some(line.features);
                }
                Some(accepted) if line.features == accepted => self.seen = Some(accepted),
                Some(_) if !self.host && line.features == 0 && self.seen.is_none() => {}
                Some(_) => return Err("features_changed"),
            }
            self.last = line.state;
        }
        if request && self.seen.is_none() {
            return Err("not_locked");
        }
        Ok(line.state)
    }
}

/// A packet of the control channel: whether it gives a buffer, its number and the value beside it. LANE-25.
///
/// # Errors
///
/// `control_channel`.
pub fn channel(packet: &[u8], descriptors: u32) -> Result<(bool, u32, u32), Fault> {
    let packet: &[u8; 16] = packet.try_into().map_err(|_| "control_channel")?;
    let word = |at: usize| {
        packet[at..at + 4].iter().rev().fold(0_u32, |word, byte| word * 256 + u32::from(*byte))
    };
    match (word(0), word(4), descriptors) {
        (1, 1, 1) => Ok((true, word(8), word(12))),
        (1, 2, 0) => Ok((false, word(8), word(12))),
        _ => Err("control_channel"),
    }
}
