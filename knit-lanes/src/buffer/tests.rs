//! Buffers of one process: bounds, values, seals.

use super::*;
use crate::ValueError;
use knit_codec::JsonText;

fn limits() -> Limits {
    Limits::default()
}

fn buffer(len: u32) -> SharedBuffer {
    SharedBuffer::new(len).unwrap()
}

#[test]
fn no_access_reaches_beyond_a_part() {
    let whole = buffer(101);
    whole.write(0, &[9; 101]).unwrap();
    let part = whole.slice(3..=49).unwrap();
    assert_eq!(part.len(), 47);
    for (at, len) in [(47, 1), (0, 48), (u32::MAX, 1), (u32::MAX, 0), (48, 0), (46, 2)] {
        let error =
            BufferError::Range { start: at.into(), end: u64::from(at) + len as u64, available: 47 };
        assert_eq!(part.read(at, &mut vec![0; len]), Err(error));
        assert_eq!(part.write(at, &vec![0; len]), Err(error));
    }
    part.write(0, &[1; 47]).unwrap();
    part.write(47, &[]).unwrap();
    let bytes = whole.to_vec();
    assert_eq!((&bytes[..3], &bytes[50..]), ([9; 3].as_slice(), [9; 51].as_slice()));
    assert_eq!(bytes[3..50], [1; 47]);
}

#[test]
fn a_part_lies_inside_what_it_is_taken_from() {
    let whole = buffer(10);
    assert_eq!(whole.slice(..).unwrap().len(), 10);
    assert_eq!(whole.slice(4..).unwrap().slice(..2).unwrap().len(), 2);
    assert!(whole.slice(10..10).unwrap().is_empty());
    #[allow(clippy::reversed_empty_ranges, reason = "refused")]
    let reversed = 5..4;
    assert!(whole.slice(reversed).is_err());
    for outside in [0..11, 11..11, 4..u32::MAX] {
        assert!(whole.slice(outside.clone()).is_err(), "{outside:?}");
    }
    assert!(whole.slice(..=u32::MAX).is_err());
    assert!(whole.slice(4..).unwrap().slice(..7).is_err(), "the whole does not count");
    assert!(whole.shares_memory_with(&whole.slice(2..).unwrap()));
    assert!(!whole.shares_memory_with(&buffer(10)));
}

#[test]
fn a_length_that_no_buffer_can_have_is_an_error() {
    for len in [u32::MAX, u32::MAX - 2] {
        assert_eq!(SharedBuffer::new(len).unwrap_err(), BufferError::TooLong { len });
    }
    assert!(buffer(0).is_empty());
    assert_eq!(buffer(0).to_vec(), [0; 0]);
}

#[test]
fn memory_is_there_from_the_start_and_nobody_can_take_it() {
    let buffer = buffer(100_000);
    let file = buffer.object.memory.backing().file();
    assert!(rustix::fs::fstat(file).unwrap().st_blocks * 512 >= 100_000);
    for len in [0, 99_999, 200_000] {
        assert_eq!(rustix::fs::ftruncate(file, len), Err(rustix::io::Errno::PERM));
    }
}

#[test]
fn a_payload_decodes_where_its_buffer_was_received_only() {
    let buffer = buffer(100);
    let part = buffer.slice(10..30).unwrap();
    let number = buffer.object.number;
    let payload = part.encode(&limits()).unwrap().into_owned();
    let words = SharedBufferRef::decode(payload.clone(), &limits()).unwrap();
    assert_eq!((words.number, words.start, words.len, words.mapping_len), (number, 10, 20, 100));
    let unknown = DecodeError::UnknownSharedBuffer { number };
    let decode = |payload: &Payload<'static>| SharedBuffer::decode(payload.clone(), &limits());
    assert_eq!(decode(&payload).unwrap_err(), unknown);
    let known = |payload: &Payload<'static>| {
        context::decoding(Some(Box::new(Buffer::from(&buffer.object))), || decode(payload))
    };
    let back = known(&payload).unwrap();
    assert_eq!((back.start, back.len), (10, 20));
    assert!(back.shares_memory_with(&buffer));
    for (start, len) in [(0, 101), (100, 1), (101, 0), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        let forged = SharedBufferRef { start, len, mapping_len: u32::MAX, ..words };
        let payload = forged.encode_owned(&limits()).unwrap();
        let error = DecodeError::SharedBufferRange { number, start, len, available: 100 };
        assert_eq!(known(&payload).unwrap_err(), error);
    }
    // The scope is over.
    assert_eq!(decode(&payload).unwrap_err(), unknown);
}

#[test]
fn a_parcel_keeps_the_buffer_that_its_payload_names() {
    let (first, second) = (buffer(4), buffer(4));
    let (one, two) = (Arc::downgrade(&first.object), Arc::downgrade(&second.object));
    let parcel = context::encoding(|| {
        let _ = first.encode_owned(&limits());
        second.encode_owned(&limits())
    });
    assert!(one.upgrade().is_none());
    assert!(two.upgrade().is_some());
    assert_eq!(parcel.unwrap().buffer.unwrap().object.number, two.upgrade().unwrap().number);
    assert!(two.upgrade().is_none());
    // Elsewhere nothing is kept.
    let third = buffer(4);
    let three = Arc::downgrade(&third.object);
    third.encode_owned(&limits()).unwrap();
    assert!(three.upgrade().is_none());
    // Not even by a value that panics.
    let fourth = buffer(4);
    let four = Arc::downgrade(&fourth.object);
    let panics = std::panic::AssertUnwindSafe(|| {
        context::encoding(|| -> Result<_, EncodeError> {
            let _ = fourth.encode_owned(&limits());
            std::panic::resume_unwind(Box::new(()))
        })
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert!(four.upgrade().is_none());
}

/// As in a task that makes calls of its own: what those have sent is not kept until the task ends.
#[test]
fn a_scope_inside_another_one_keeps_nothing_beyond_its_end() {
    let result = buffer(4);
    let sent = std::cell::Cell::new(Weak::new());
    let parcel = context::encoding(|| -> Result<_, EncodeError> {
        let payload = result.clone().encode_owned(&limits())?;
        for _ in 0..3 {
            let argument = buffer(8);
            sent.set(Arc::downgrade(&argument.object));
            let parcel = context::encoding(|| argument.clone().encode_owned(&limits()))?;
            assert!(Arc::ptr_eq(&parcel.buffer.unwrap().object, &argument.object));
            drop(argument);
            assert!(sent.take().upgrade().is_none(), "nobody has a handle");
        }
        let failed: Result<_, EncodeError> = context::encoding(|| {
            let argument = buffer(8);
            sent.set(Arc::downgrade(&argument.object));
            argument.encode_owned(&limits())?;
            Err(EncodeError::Json { reason: String::new() })
        });
        assert!(failed.is_err() && sent.take().upgrade().is_none());
        Ok(payload)
    });
    let parcel = parcel.unwrap();
    assert!(Arc::ptr_eq(&parcel.buffer.unwrap().object, &result.object), "it was kept before");
    assert_eq!(Arc::strong_count(&result.object), 1);
}

#[test]
fn texts_and_json_come_back_from_any_byte() {
    let buffer = buffer(200);
    for (at, text) in [(0, ""), (1, "grüße"), (3, "\u{1f40d}"), (90, "x")] {
        let taken = buffer.put_text(at, text, &limits()).unwrap();
        assert_eq!(taken as usize, 4 + text.len());
        assert_eq!(buffer.text(at, &limits()).unwrap(), text);
    }
    let json = JsonText(r#"{"a":[1,null]}"#.to_owned());
    buffer.put_json(5, &json, &limits()).unwrap();
    assert_eq!(buffer.json(5, &limits()).unwrap(), json);
    let mut prefix = [0; 4];
    buffer.read(5, &mut prefix).unwrap();
    assert_eq!(prefix, [14, 0, 0, 0]);
}

#[test]
fn what_is_no_text_or_no_json_is_an_error() {
    let buffer = buffer(100);
    let write = |len: u32, bytes: &[u8]| {
        buffer.write(0, &len.to_le_bytes()).unwrap();
        buffer.write(4, bytes).unwrap();
    };
    write(4, b"ab\xff\xff");
    let found = buffer.text(0, &limits());
    assert_eq!(found, Err(DecodeError::Utf8 { valid_up_to: 2 }.into()));
    write(4, b"[1,]");
    assert!(matches!(buffer.json(0, &limits()), Err(ValueError::Decode(DecodeError::Json { .. }))));
    for len in [97, u32::MAX, u32::MAX - 3] {
        write(len, b"");
        assert!(matches!(
            buffer.text(0, &limits()),
            Err(ValueError::Buffer(BufferError::Range { available: 100, .. }))
        ));
    }
    write(8, b"12345678");
    let tight = limits().with_payload(7);
    assert!(matches!(buffer.text(0, &tight), Err(ValueError::Decode(DecodeError::TooLong(_)))));
    assert!(matches!(buffer.put_text(0, "12345678", &tight), Err(ValueError::Encode(_))));
    // Nothing is written of what does not fit.
    assert!(buffer.put_text(92, "12345", &limits()).is_err());
    assert_eq!(buffer.to_vec()[92..], [0; 8]);
}

#[test]
fn numbers_come_back_bit_by_bit() {
    let buffer = buffer(8 * 1000 + 3);
    for number in [0.0, -0.0, f64::NAN, f64::INFINITY, 1.5] {
        buffer.put_number(3, number).unwrap();
        assert_eq!(buffer.number(3).unwrap().to_bits(), number.to_bits());
    }
    assert!(buffer.put_number(7996, 1.0).is_err());
    assert!(buffer.number(u32::MAX).is_err());
    let doubles: Vec<_> = (0..1000).map(|n| f64::from(n) / 7.0).collect();
    buffer.put_numbers(3, &doubles).unwrap();
    assert_eq!(buffer.numbers::<f64>(3, 1000).unwrap(), doubles);
    buffer.put_numbers(1, &[i32::MIN, -1, i32::MAX]).unwrap();
    assert_eq!(buffer.numbers::<i32>(5, 2).unwrap(), [-1, i32::MAX]);
    buffer.put_numbers(0, &[u64::MAX, 1]).unwrap();
    assert_eq!(buffer.numbers::<i64>(0, 2).unwrap(), [-1, 1]);
    assert_eq!(buffer.numbers::<u64>(0, 0).unwrap(), [0; 0]);
    for (at, count) in [(4, 1000), (0, u32::MAX), (8004, 0)] {
        assert!(buffer.numbers::<u64>(at, count).is_err(), "{count} at {at}");
    }
    assert!(buffer.put_numbers(4, &doubles).is_err());
}

#[cfg(feature = "serde")]
#[test]
fn serde_values_come_back() {
    let buffer = buffer(100);
    let value = (1, "two".to_owned(), vec![3.5]);
    buffer.put_value(7, &value, &limits()).unwrap();
    assert_eq!(buffer.value::<(i32, String, Vec<f64>)>(7, &limits()).unwrap(), value);
    assert!(matches!(
        buffer.value::<Vec<bool>>(7, &limits()),
        Err(ValueError::Decode(DecodeError::Json { .. }))
    ));
}
