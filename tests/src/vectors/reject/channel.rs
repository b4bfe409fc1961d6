//! Packets of the control channel that no side may send.

use super::super::VectorFile;
use super::super::build::hex;
use super::fault;
use serde_json::json;

const GIVE: u32 = 1;
const DROP: u32 = 2;

pub(super) fn vectors() -> Vec<VectorFile> {
    let whole = |words: [u32; 4]| words.map(u32::to_le_bytes).concat();
    let give = whole([1, GIVE, 7, 4096]);
    let refuse = |words: &str, doc: &str, packet: &[u8], descriptors: u32| {
        let input = json!({ "bytes": hex(packet), "descriptors": descriptors });
        fault("control_channel", "LANE-25").refuse("channel", words, &[], doc, input)
    };
    vec![
        refuse("empty", "A packet without bytes.", &[], 1),
        refuse("short", "A packet of 15 bytes.", &give[..15], 1),
        refuse("long", "A packet of 17 bytes.", &[give.as_slice(), &[0]].concat(), 1),
        refuse("twice", "Two messages in one packet.", &[give.as_slice(), &give].concat(), 1),
        refuse("version-0", "Version 0.", &whole([0, GIVE, 7, 4096]), 1),
        refuse("version-2", "Version 2.", &whole([2, GIVE, 7, 4096]), 1),
        refuse("byte-order", "Words in big-endian order.", &whole([1 << 24, GIVE << 24, 7, 0]), 1),
        refuse("kind-0", "Kind 0.", &whole([1, 0, 7, 4096]), 1),
        refuse("kind-3", "Kind 3.", &whole([1, 3, 7, 4096]), 0),
        refuse("no-descriptor", "A buffer is given without a descriptor.", &give, 0),
        refuse("two-descriptors", "A buffer is given with two descriptors.", &give, 2),
        refuse(
            "drop-with-descriptor",
            "A buffer is dropped, and a descriptor comes along.",
            &whole([1, DROP, 7, 1]),
            1,
        ),
    ]
}
