//! Shared buffers between processes: as arguments, as results, in parts, and what is left of them.

mod pool_support;

use knit_lanes::codec::{DecodeError, Header, SharedBufferRef};
use knit_lanes::{
    CallError, EnvelopedBuffer, GiveError, SendError, SharedBuffer, TaskFailure, Value,
};
use pool_support::gate::Gate;
use pool_support::process::{kill, until_gone};
use pool_support::worker::{builder, only_worker, pool, start};
use pool_support::{bytes, until, within_deadline};

fn filled(content: &[u8]) -> SharedBuffer {
    let buffer = SharedBuffer::new(u32::try_from(content.len()).unwrap()).unwrap();
    buffer.write(0, content).unwrap();
    buffer
}

fn sum(bytes: &[u8]) -> f64 {
    bytes.iter().copied().map(f64::from).sum()
}

#[test]
fn a_task_reads_what_its_caller_wrote() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        for len in [0, 1, 3, 4, 4095, 4096, 100_000] {
            let content = bytes(len, len as usize);
            let buffer = filled(&content);
            for _ in 0..3 {
                assert_eq!(pool.call(remote.sum, buffer.clone()).wait().unwrap(), sum(&content));
            }
            // The last handle goes into the call.
            assert_eq!(pool.call(remote.sum, buffer).wait().unwrap(), sum(&content));
        }
    });
}

/// KD-33: bytes of a buffer are shared by accesses that both sides are sure of.
#[test]
fn both_sides_see_what_the_other_writes() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let content = bytes(1, 5000);
        let buffer = filled(&content);
        for round in 1..=20_u8 {
            pool.call(remote.bump, buffer.clone()).wait().unwrap();
            let expected: Vec<_> = content.iter().map(|byte| byte.wrapping_add(round)).collect();
            assert_eq!(buffer.to_vec(), expected);
        }
        // One that the worker made.
        let theirs = pool.call(remote.new_buffer, 999).wait().unwrap();
        assert_eq!(theirs.to_vec(), [7; 999]);
        theirs.write(0, &[1, 2, 3]).unwrap();
        assert_eq!(pool.call(remote.sum, theirs).wait().unwrap(), 6.0 + 996.0 * 7.0);
    });
}

#[test]
fn a_part_is_a_part_on_the_other_side_too() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let content = bytes(2, 1000);
        let buffer = filled(&content);
        for (start, end) in [(0, 1000), (1, 2), (3, 998), (500, 500), (997, 1000)] {
            let part = buffer.slice(start..end).unwrap();
            let expected = &content[start as usize..end as usize];
            assert_eq!(pool.call(remote.sum, part.clone()).wait().unwrap(), sum(expected));
            let back = pool.call(remote.buffer, part).wait().unwrap();
            assert_eq!((back.len(), back.to_vec().as_slice()), (end - start, expected));
        }
        // A task changes the part and nothing beside it.
        pool.call(remote.bump, buffer.slice(3..6).unwrap()).wait().unwrap();
        let mut expected = content;
        expected[3..6].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        assert_eq!(buffer.to_vec(), expected);
    });
}

/// A buffer travels as the body of an envelope as it does alone, header inline or not.
#[test]
fn a_buffer_is_the_body_of_an_envelope() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let content = bytes(3, 1000);
        let buffer = filled(&content);
        let mut expected = content;
        for header in [
            Header::Text("samples".into()),
            Header::Text("é".repeat(400)),
            Header::Json("{\"a\":1}".into()),
            Header::Json(format!("[{}7]", " ".repeat(600))),
        ] {
            let longer = match &header {
                Header::Text(text) => Header::Text(format!("{text}!")),
                Header::Json(text) => Header::Json(format!("[{text}]")),
            };
            let part = buffer.slice(10..900).unwrap();
            let call = pool.call(remote.enveloped, EnvelopedBuffer { header, buffer: part });
            let back = call.wait().unwrap();
            expected[10..900].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
            assert_eq!(back.header, longer);
            assert_eq!(back.buffer.to_vec(), &expected[10..900]);
        }
        assert_eq!(buffer.to_vec(), expected);
    });
}

/// LANE-30.
#[test]
fn a_caller_keeps_the_memory_of_a_worker_that_died() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let ours = filled(&[1, 2, 3]);
        pool.call(remote.keep, ours.clone()).wait().unwrap();
        let theirs = pool.call(remote.new_buffer, 100).wait().unwrap();
        let worker = only_worker(&pool);
        kill(worker);
        until_gone(&[worker]);
        assert_eq!(theirs.to_vec(), [7; 100]);
        theirs.write(99, &[8]).unwrap();
        until("another worker serves", || pool.worker_ids().iter().any(|id| *id != worker));
        // The new one knows nothing of the old one's, and is given both.
        assert_eq!(pool.call(remote.sum, theirs).wait().unwrap(), 99.0 * 7.0 + 8.0);
        assert_eq!(pool.call(remote.sum, ours).wait().unwrap(), 6.0);
    });
}

/// LANE-30.
#[test]
fn calls_with_buffers_survive_the_worker_that_did_not_get_them() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let gate = Gate::new();
        let held = pool.call(remote.hold, gate.path());
        let inside = gate.entered();
        let worker = only_worker(&pool);
        let calls: Vec<_> =
            (0..200_u32).map(|n| pool.call(remote.sum, filled(&n.to_le_bytes()))).collect();
        kill(worker);
        drop(inside);
        assert!(matches!(held.wait(), Err(CallError::WorkerDied { .. })));
        // Also those that were with the dead worker, which had been given their buffers and had not begun.
        for (n, call) in (0_u32..).zip(calls) {
            assert_eq!(call.wait().unwrap(), sum(&n.to_le_bytes()));
        }
    });
}

#[test]
fn a_kept_buffer_lives_on_when_the_host_drops_it() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        pool.call(remote.keep, filled(&[5, 6])).wait().unwrap();
        pool.call(remote.unit, ()).wait().unwrap();
        let back = pool.call(remote.kept, ()).wait().unwrap();
        assert_eq!(back.to_vec(), [5, 6]);
        pool.call(remote.forget, ()).wait().unwrap();
        assert_eq!(back.to_vec(), [5, 6]);
    });
}

/// LANE-28.
#[test]
fn buffers_above_the_limit_are_refused_and_those_that_leave_make_room() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).max_buffers(3));
        let mut buffers: Vec<_> = (1..=3_u8).map(|n| filled(&[n])).collect();
        for (n, buffer) in (1_u8..).zip(&buffers) {
            assert_eq!(pool.call(remote.sum, buffer.clone()).wait().unwrap(), f64::from(n));
        }
        let refused = pool.call(remote.sum, filled(&[4])).wait();
        let limit = GiveError::TooMany { limit: 3 };
        assert!(
            matches!(&refused, Err(CallError::Unsendable(SendError::Buffer(error))) if *error == limit),
            "{refused:?}"
        );
        // Those that it has are as good as before.
        assert_eq!(pool.call(remote.sum, buffers[2].clone()).wait().unwrap(), 3.0);
        buffers.pop();
        assert_eq!(pool.call(remote.sum, filled(&[4])).wait().unwrap(), 4.0);
        // The worker's own limit is the same.
        let theirs: Vec<_> =
            (0..3).map(|_| pool.call(remote.new_buffer, 8).wait().unwrap()).collect();
        drop(theirs);
        for _ in 0..20 {
            drop(pool.call(remote.new_buffer, 8).wait().unwrap());
        }
    });
}

/// PAY-30.
#[test]
fn a_number_that_was_never_given_fails_the_call_only() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let worker = only_worker(&pool);
        let raw = pool.task::<Value, f64>("sum").unwrap();
        for number in [0, 1, 3, 77, u32::MAX] {
            let forged = Value::SharedBuffer(SharedBufferRef::whole(number, 4096));
            match pool.call(raw, forged).wait() {
                Err(CallError::Task(error)) => {
                    assert_eq!(error.failure, TaskFailure::Argument);
                    assert!(error.to_string().contains("no shared buffer"), "{error}");
                }
                other => panic!("{other:?}"),
            }
        }
        // Back as a value it is only words.
        let words = Value::SharedBuffer(SharedBufferRef::whole(9, 1));
        assert_eq!(pool.call(remote.value, words.clone()).wait().unwrap(), words);
        let untyped = pool.task::<Value, SharedBuffer>("value").unwrap();
        assert!(matches!(
            pool.call(untyped, words).wait(),
            Err(CallError::Answer(DecodeError::UnknownSharedBuffer { number: 9 }))
        ));
        assert_eq!(only_worker(&pool), worker);
    });
}

#[test]
fn many_threads_send_one_buffer_and_their_own() {
    within_deadline(|| {
        let (pool, remote) = pool(2);
        let common = filled(&[1; 100]);
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let (pool, common) = (&pool, &common);
                scope.spawn(move || {
                    for n in 0..100_u8 {
                        let own = filled(&[thread, n]);
                        let calls =
                            [common.clone(), own.clone(), own].map(|b| pool.call(remote.sum, b));
                        let [a, b, c] = calls.map(|call| call.wait().unwrap());
                        let expected = f64::from(thread) + f64::from(n);
                        assert_eq!([a, b, c], [100.0, expected, expected]);
                    }
                });
            }
        });
    });
}

/// LANE-27: more messages are on their way than the channel has room for. LANE-32: the worker has read that buffers
/// were dropped before it takes the calls that name them.
#[test]
fn a_full_channel_holds_calls_back_and_loses_none() {
    within_deadline(|| {
        let (pool, remote) = start(builder(1).max_buffers(600));
        let given: Vec<_> = (0..600_u32).map(|n| filled(&n.to_le_bytes())).collect();
        for buffer in &given {
            pool.call(remote.sum, buffer.clone()).wait().unwrap();
        }
        let gate = Gate::new();
        let held = pool.call(remote.hold, gate.path());
        let inside = gate.entered();
        // 600 messages, which nobody reads.
        drop(given);
        let calls: Vec<_> =
            (0..100_u32).map(|n| pool.call(remote.sum, filled(&n.to_le_bytes()))).collect();
        drop(inside);
        held.wait().unwrap();
        for (n, call) in (0_u32..).zip(calls) {
            assert_eq!(call.wait().unwrap(), sum(&n.to_le_bytes()));
        }
    });
}
