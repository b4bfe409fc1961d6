//! Packets of the control channel, read twice and written again.

use crate::corpus::{Seed, of_kind};
use crate::input::{Input, Output};
use knit_proto::{CONTROL_MESSAGE_BYTES, ControlMessage};
use knit_tests::differential::hold_channel;
use knit_tests::vector_files::{bytes, word};

/// Packets: how many descriptors came with it, then its bytes.
///
/// The crate and the slow reader make the same of each: a message, which is written as the packet that it came
/// in, or the violation.
///
/// # Panics
///
/// They differ.
pub fn control_channel(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    input.steps(|input| {
        let descriptors = match input.byte() {
            u8::MAX => input.word(),
            few => few.into(),
        };
        let packet = input.slice();
        if let Some(message) = hold_channel(&packet, descriptors) {
            assert_eq!(packet.len(), CONTROL_MESSAGE_BYTES as usize);
            let needed = u32::from(matches!(message, ControlMessage::Give { .. }));
            assert_eq!(descriptors, needed);
        }
    });
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut output = Output::default();
    for (descriptors, message) in [
        (1, ControlMessage::Give { number: 7, len: 4096 }),
        (1, ControlMessage::Give { number: 0, len: u32::MAX - 3 }),
        (0, ControlMessage::Drop { number: 7, uses: 3 }),
    ] {
        output.byte(descriptors).bytes(&message.to_bytes());
    }
    let fine = Seed::new("fine", output.done());
    let refused = of_kind("channel").into_iter().map(|file| {
        let descriptors = u8::try_from(word(&file.json, "descriptors")).expect("a few");
        let packet = bytes(&file.json, "bytes");
        Seed::of_vector(&file, Output::default().byte(descriptors).bytes(&packet).done())
    });
    [fine].into_iter().chain(refused).collect()
}
