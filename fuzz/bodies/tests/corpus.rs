//! Every body over its corpus, and over changes of it: what a fuzzer would begin with.

use knit_fuzz_bodies::{TARGETS, Target, change, corpus, target};
use knit_tests::Noise;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const SEED: u64 = 0x6b6e_6974;
/// Inputs for each target besides those that are kept.
const CHANGES: u32 = 10_000;

/// Names the input when a body fails.
struct Name<'a> {
    target: &'a Target,
    what: String,
    input: &'a [u8],
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.input.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("{}, {}: {hex}", self.target.name, self.what);
        }
    }
}

fn run(target: &Target, what: String, input: &[u8]) {
    let _name = Name { target, what, input };
    (target.body)(input);
}

fn fuzz(name: &str) {
    let target = target(name).expect("a target");
    let kept = corpus::kept(target).unwrap();
    assert!(kept.len() >= 5, "{} inputs", kept.len());
    for seed in &kept {
        assert!(seed.bytes.len() <= target.longest, "{} would be cut off", seed.name);
        run(target, seed.name.clone(), &seed.bytes);
    }
    println!("{name}: {} inputs that are kept, {CHANGES} changes, seed {SEED:#x}", kept.len());
    let mut noise = Noise::new(SEED);
    for number in 0..CHANGES {
        let mut any = || &kept[noise.below(kept.len() as u32) as usize];
        let (first, second) = (any(), any());
        let input = change(&mut noise, &first.bytes, &second.bytes);
        run(target, format!("change {number} of {}", first.name), &input);
    }
    run(target, "nothing".into(), &[]);
}

macro_rules! tests {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            fuzz(stringify!($target));
        })*

        #[test]
        fn every_target_has_a_test_and_a_fuzz_target() {
            let tested = BTreeSet::from([$(stringify!($target)),*]);
            assert_eq!(tested, TARGETS.iter().map(|target| target.name).collect());
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            for name in &tested {
                let file = folder.join("fuzz_targets").join(format!("{name}.rs"));
                let text = fs::read_to_string(file).unwrap();
                assert!(text.contains(&format!("knit_fuzz_bodies::{name}(data)")), "{name}");
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            }
            assert_eq!(fs::read_dir(folder.join("fuzz_targets")).unwrap().count(), tested.len());
            let packs = fs::read_dir(folder.join("corpus")).unwrap().count();
            assert_eq!(packs, tested.len());
        }
    };
}

tests! {
    header slot_header payload_decode payload_round_trip memory mailbox arena segment negotiation boot
    control_channel host_lane withdrawal link knitting_ends
}

#[test]
fn the_seeds_are_what_the_vectors_imply() {
    let stale: Vec<_> = corpus::stale().unwrap().into_iter().map(|target| target.name).collect();
    assert!(stale.is_empty(), "{stale:?}: run `cargo xtask fuzz --bless`");
}
