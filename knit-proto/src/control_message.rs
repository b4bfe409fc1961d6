//! Messages of the control channel, which gives shared buffers.

use crate::ControlFault;

/// Length of a message of the control channel, in bytes. LANE-25.
pub const CONTROL_MESSAGE_BYTES: u32 = 16;
/// Word 0 of every message. LANE-25.
pub const CONTROL_MESSAGE_VERSION: u32 = 1;
/// Word 1 of a message that gives a buffer. LANE-25.
pub const CONTROL_MESSAGE_GIVE: u32 = 1;
/// Word 1 of a message that drops a buffer. LANE-25.
pub const CONTROL_MESSAGE_DROP: u32 = 2;

/// Word 1 of the packet that hands a worker its lane. LANE-43.
pub const CONTROL_MESSAGE_LANE: u32 = 3;

/// The packet that hands a worker its lane over a socket with a name. LANE-43.
///
/// Four little-endian words, version, kind, epoch and length, and one or two descriptors: the segment's memfd, and
/// the worker's end of the control channel where the host has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneMessage {
    /// Epoch of the segment.
    pub epoch: u32,
    /// Length of the segment in bytes.
    pub len: u32,
}

impl LaneMessage {
    /// The packet.
    #[must_use]
    pub fn to_bytes(self) -> [u8; CONTROL_MESSAGE_BYTES as usize] {
        bytes([CONTROL_MESSAGE_VERSION, CONTROL_MESSAGE_LANE, self.epoch, self.len])
    }

    /// The message of a packet that came with so many descriptors.
    ///
    /// # Errors
    ///
    /// No host may send this. The length is checked first, then version, kind and descriptors.
    pub fn parse(packet: &[u8], descriptors: u32) -> Result<Self, ControlFault> {
        let [kind, epoch, len] = words(packet)?;
        match (kind, descriptors) {
            (CONTROL_MESSAGE_LANE, 1 | 2) => Ok(Self { epoch, len }),
            (CONTROL_MESSAGE_LANE, found) => Err(ControlFault::Descriptors { found }),
            (found, _) => Err(ControlFault::Kind { found }),
        }
    }
}

/// A message of the control channel. LANE-25.
///
/// It is one packet of four little-endian words, version, kind, number and value, and the descriptors that
/// come with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlMessage {
    /// A buffer; its memfd is the one descriptor that comes along.
    Give {
        /// What the sender calls the buffer.
        number: u32,
        /// Length of the memfd in bytes.
        len: u32,
    },
    /// The sender will not name the buffer again.
    Drop {
        /// What the sender calls the buffer.
        number: u32,
        /// How many messages of the lane name it, modulo 2^32.
        uses: u32,
    },
}

impl ControlMessage {
    /// The packet.
    #[must_use]
    pub fn to_bytes(self) -> [u8; CONTROL_MESSAGE_BYTES as usize] {
        let words = match self {
            Self::Give { number, len } => {
                [CONTROL_MESSAGE_VERSION, CONTROL_MESSAGE_GIVE, number, len]
            }
            Self::Drop { number, uses } => {
                [CONTROL_MESSAGE_VERSION, CONTROL_MESSAGE_DROP, number, uses]
            }
        };
        bytes(words)
    }

    /// The message of a packet that came with so many descriptors.
    ///
    /// # Errors
    ///
    /// No side may send this. The length is checked first, then version, kind and descriptors.
    pub fn parse(packet: &[u8], descriptors: u32) -> Result<Self, ControlFault> {
        let [kind, number, value] = words(packet)?;
        match (kind, descriptors) {
            (CONTROL_MESSAGE_GIVE, 1) => Ok(Self::Give { number, len: value }),
            (CONTROL_MESSAGE_DROP, 0) => Ok(Self::Drop { number, uses: value }),
            (CONTROL_MESSAGE_GIVE | CONTROL_MESSAGE_DROP, found) => {
                Err(ControlFault::Descriptors { found })
            }
            (found, _) => Err(ControlFault::Kind { found }),
        }
    }
}

fn bytes(words: [u32; 4]) -> [u8; CONTROL_MESSAGE_BYTES as usize] {
    let mut bytes = [0; CONTROL_MESSAGE_BYTES as usize];
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The words of a packet after its version.
fn words(packet: &[u8]) -> Result<[u32; 3], ControlFault> {
    let (words, rest) = packet.as_chunks::<4>();
    let [version, kind, number, value] = *words else { return Err(length(packet)) };
    if !rest.is_empty() {
        return Err(length(packet));
    }
    let [version, kind, number, value] = [version, kind, number, value].map(u32::from_le_bytes);
    if version != CONTROL_MESSAGE_VERSION {
        return Err(ControlFault::Version { found: version });
    }
    Ok([kind, number, value])
}

fn length(packet: &[u8]) -> ControlFault {
    ControlFault::Length { len: u32::try_from(packet.len()).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LANE-43.
    #[test]
    fn a_lane_comes_with_its_segment_and_perhaps_a_channel() {
        let lane = LaneMessage { epoch: 7, len: 4096 };
        let bytes = lane.to_bytes();
        assert_eq!(bytes, [1, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 16, 0, 0]);
        for found in [0, 3, 4] {
            let expected = Err(ControlFault::Descriptors { found });
            assert_eq!(LaneMessage::parse(&bytes, found), expected);
        }
        assert_eq!(LaneMessage::parse(&bytes, 1), Ok(lane));
        assert_eq!(LaneMessage::parse(&bytes, 2), Ok(lane));
        assert_eq!(LaneMessage::parse(&bytes[..15], 2), Err(ControlFault::Length { len: 15 }));
        let mut other = bytes;
        other[0] = 2;
        assert_eq!(LaneMessage::parse(&other, 2), Err(ControlFault::Version { found: 2 }));
        let give = ControlMessage::Give { number: 7, len: 4096 }.to_bytes();
        assert_eq!(LaneMessage::parse(&give, 1), Err(ControlFault::Kind { found: 1 }));
        assert_eq!(ControlMessage::parse(&bytes, 1), Err(ControlFault::Kind { found: 3 }));
    }

    /// LANE-25.
    #[test]
    fn messages_come_back_with_their_descriptors_only() {
        let give = ControlMessage::Give { number: 7, len: 4096 };
        let drop = ControlMessage::Drop { number: u32::MAX, uses: 3 };
        assert_eq!(give.to_bytes(), [1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 16, 0, 0]);
        for (message, descriptors) in [(give, 1), (drop, 0)] {
            for found in 0..4 {
                let expected = if found == descriptors {
                    Ok(message)
                } else {
                    Err(ControlFault::Descriptors { found })
                };
                assert_eq!(ControlMessage::parse(&message.to_bytes(), found), expected);
            }
        }
    }
}
