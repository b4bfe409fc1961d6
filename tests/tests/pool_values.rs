//! Values go to a worker process and come back unchanged.

mod pool_support;

use knit_lanes::codec::{
    ArrayBuffer, BigInt, DataView, Date, Envelope, External, Header, JsonText, NodeBuffer, Numbers,
    Symbol,
};
use knit_lanes::{ErrorValue, Value};
use pool_support::worker::pool;
use pool_support::{bytes, within_deadline};

/// LANE-6: the worker has its segment from descriptor 0.
#[test]
fn numbers_come_back_bit_for_bit() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        for number in [
            0.0,
            -0.0,
            1.5,
            f64::MIN,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::EPSILON,
        ] {
            let back = pool.call(remote.number, number).wait().unwrap();
            assert_eq!(back.to_bits(), number.to_bits(), "{number:?}");
        }
        assert!(pool.call(remote.number, f64::NAN).wait().unwrap().is_nan());
        assert_eq!(pool.call(remote.square, 1.5).wait().unwrap(), 2.25);
    });
}

#[test]
fn booleans_the_unit_and_options_come_back() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        assert!(pool.call(remote.flag, true).wait().unwrap());
        assert!(!pool.call(remote.flag, false).wait().unwrap());
        pool.call(remote.unit, ()).wait().unwrap();
        assert_eq!(pool.call(remote.option, None).wait().unwrap(), None);
        for text in ["", "there"] {
            let some = Some(text.to_owned());
            assert_eq!(pool.call(remote.option, some.clone()).wait().unwrap(), some);
        }
    });
}

#[test]
fn integers_of_64_bits_keep_every_digit() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        for integer in [0, 1, -1, i64::MIN, i64::MAX, (1 << 53) + 1, -(1 << 53) - 1] {
            assert_eq!(pool.call(remote.bigint, integer).wait().unwrap(), integer);
        }
    });
}

#[test]
fn strings_come_back_whatever_their_length() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        for len in [0, 1, 5, 511, 512, 513, 514, 100_000] {
            let text: String = ('!'..='~').cycle().take(len).collect();
            assert_eq!(pool.call(remote.text, text.clone()).wait().unwrap(), text, "{len} bytes");
        }
        // Three bytes each, so that a multi-byte character stands across the 512th byte.
        for count in [1, 170, 171, 33_334] {
            let text = "鰻".repeat(count);
            assert_eq!(pool.call(remote.text, text.clone()).wait().unwrap(), text, "{count}");
        }
        // KD-5: a byte-order mark is a character like others.
        let text = format!("\u{feff}{}\0\u{10ffff}", "ä".repeat(300));
        assert_eq!(pool.call(remote.text, text.clone()).wait().unwrap(), text);
    });
}

/// KD-18: a result is these bytes and no others, not a part of memory that other results are in too.
#[test]
fn bytes_come_back_whatever_their_length() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        for len in [0, 1, 3, 511, 512, 513, 65_537, 8 << 20] {
            let sent = bytes(len as u64, len);
            let back = pool.call(remote.bytes, sent.clone()).wait().unwrap();
            // No `assert_eq`: nobody wants to read 8 MiB.
            assert!(back == sent, "{len} bytes differ");
        }
    });
}

/// KD-31: all types that the wire knows come back as what they were.
#[test]
fn values_of_any_type_come_back_equal() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        let error = ErrorValue::new("TypeError", "bad")
            .with_stack("at x")
            .with_cause(ErrorValue::new("Error", "deep"));
        for value in [
            Value::Undefined,
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Number(-0.0),
            Value::Number(f64::NAN),
            Value::from(i64::MIN),
            Value::String(String::new()),
            Value::String("x".repeat(512)),
            Value::String("x".repeat(513)),
            Value::Json(r#"{"a":[1,null,"ü"]}"#.to_owned()),
            Value::Json(format!("[{}0]", "0,".repeat(400))),
            Value::Bytes(Vec::new()),
            Value::Bytes(bytes(1, 513)),
            Value::from(u64::MAX),
            Value::from(BigInt::from_le_magnitude(true, &bytes(2, 700))),
            Value::from(Symbol::from("app.token")),
            Value::from(Date::from_millis(-1.0)),
            Value::from(ArrayBuffer(bytes(3, 5))),
            Value::from(NodeBuffer(bytes(4, 600))),
            Value::from(DataView(Vec::new())),
            Value::from(vec![i32::MIN, 7]),
            Value::from(vec![i64::MIN; 100]),
            Value::from(vec![u64::MAX]),
            Value::from(vec![-0.0, f64::NAN, f64::INFINITY]),
            Value::from(Numbers(vec![0.5; 100])),
            Value::from(External::new("my.codec", r#"{"n":1}"#)),
            Value::from(Envelope::new(Header::Text("h".into()), bytes(5, 1000))),
            Value::from(Envelope::new(Header::Json("[1]".into()), Vec::new())),
            Value::from(Envelope::new(
                Header::Json(format!("[{}0]", "0,".repeat(400))),
                External::new("my.codec", "null"),
            )),
            // An error as a value is not a failed call.
            Value::Error(error),
        ] {
            assert_eq!(pool.call(remote.value, value.clone()).wait().unwrap(), value);
        }
    });
}

#[test]
fn json_text_comes_back_unchanged() {
    within_deadline(|| {
        let (pool, remote) = pool(1);
        for text in ["null", " [1 , 2] ", r#"{"b":1,"a":1e400,"b":2}"#, r#""\ud800""#] {
            let json = JsonText(text.to_owned());
            assert_eq!(pool.call(remote.json, json.clone()).wait().unwrap(), json);
        }
    });
}

#[test]
fn a_handle_found_by_name_is_the_declared_one() {
    within_deadline(|| {
        let (pool, _) = pool(2);
        let square = pool.task::<f64, f64>("square").unwrap();
        assert_eq!(pool.call(square, 9.0).wait().unwrap(), 81.0);
        assert_eq!(pool.lanes(), 2);
        assert_eq!(pool.worker_ids().len(), 2);
        assert_eq!(pool.in_flight(), 0);
    });
}
