//! Random histories of one thread against plain reference models: what is delivered, when a mailbox
//! or an arena is full, and what the ends say about themselves.

use knit_proto::INLINE_BYTES;
use knit_ring::{ArenaSender, HeapMemory, SharedArenaReceiver, Stamps};
use knit_tests::arena_lane;
use knit_tests::histories::{ArenaOp, MailboxOp, Then, run_arena, run_mailbox};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// The same cases in every run, and no file of old failures.
fn config(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(0x6b6e_6974),
        failure_persistence: None,
        ..Config::default()
    }
}

fn mailbox_op() -> impl Strategy<Value = MailboxOp> {
    let len = prop_oneof![0_usize..80, 500..=INLINE_BYTES as usize];
    prop_oneof![
        4 => len.clone().prop_map(MailboxOp::Send),
        1 => len.prop_map(MailboxOp::Abandon),
        2 => (0_usize..40, any::<bool>()).prop_map(|(len, publish)| MailboxOp::Batch(len, publish)),
        6 => (any::<bool>(), any::<bool>())
            .prop_map(|(poll, finish)| MailboxOp::Receive { poll, finish }),
        1 => Just(MailboxOp::Release),
        1 => Just(MailboxOp::IsPending),
    ]
}

fn arena_op() -> impl Strategy<Value = ArenaOp> {
    let len = prop_oneof![6 => 0_u32..300, 1 => 300_u32..5000, 1 => Just(u32::MAX)];
    let then = prop_oneof![6 => Just(Then::Commit), 1 => Just(Then::Drop), 2 => Just(Then::Keep)];
    prop_oneof![
        6 => (len, then).prop_map(|(len, then)| ArenaOp::Loan(len, then)),
        2 => (any::<usize>(), prop::bool::weighted(0.7))
            .prop_map(|(which, commit)| ArenaOp::Settle(which, commit)),
        1 => any::<usize>().prop_map(ArenaOp::Hold),
        4 => any::<usize>().prop_map(ArenaOp::Free),
    ]
}

/// Payloads of one size go through as many places as are live at a time, not through all of the
/// arena: its bytes stay in the cache.
fn run_pool(most_live: usize, frees: &[(usize, bool)]) {
    let lane = arena_lane(1, 64 << 10);
    let memory = HeapMemory::zeroed(lane.bytes).unwrap();
    let mut sender = ArenaSender::new(&memory, &lane.arena, 0).unwrap();
    let receiver = SharedArenaReceiver::new(&memory, &lane.arena).unwrap();
    let mut live = Vec::new();
    for (which, refill) in frees {
        while *refill && live.len() < most_live {
            let (block, start) = sender.loan(200).unwrap().commit();
            assert!(start < 256 * most_live as u32, "block at {start} is a cold one");
            live.push(block);
        }
        if !live.is_empty() {
            receiver.free(live.swap_remove(which % live.len()));
        }
    }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn two_slots_deliver_every_message_once(
        ops in prop::collection::vec(mailbox_op(), 0..200),
        stamps in prop::sample::select(vec![Stamps::On, Stamps::Off]),
    ) {
        run_mailbox(2, stamps, &ops);
    }

    #[test]
    fn five_slots_deliver_every_message_once(
        ops in prop::collection::vec(mailbox_op(), 0..200),
        stamps in prop::sample::select(vec![Stamps::On, Stamps::Off]),
    ) {
        run_mailbox(5, stamps, &ops);
    }

    #[test]
    fn all_slots_deliver_every_message_once(
        ops in prop::collection::vec(mailbox_op(), 0..300),
        stamps in prop::sample::select(vec![Stamps::On, Stamps::Off]),
    ) {
        run_mailbox(32, stamps, &ops);
    }

    #[test]
    fn blocks_of_a_small_arena_never_overlap(ops in prop::collection::vec(arena_op(), 0..200)) {
        run_arena(1024, &ops);
    }

    #[test]
    fn at_most_32_blocks_are_live(ops in prop::collection::vec(arena_op(), 0..300)) {
        run_arena(64 << 10, &ops);
    }

    #[test]
    fn a_pool_of_blocks_stays_hot(
        most_live in 1_usize..32,
        frees in prop::collection::vec((any::<usize>(), any::<bool>()), 0..200),
    ) {
        run_pool(most_live, &frees);
    }
}
