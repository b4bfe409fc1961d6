//! The recorder of the `metrics` crate is given what the snapshot says.

mod pool_support;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit,
};
use pool_support::within_deadline;
use pool_support::worker::{builder, start};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What was said last of each name with its labels.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<BTreeMap<String, f64>>>);

/// One entry of the book.
struct Entry {
    book: Book,
    key: String,
}

impl Entry {
    fn of(book: &Book, key: &Key) -> Arc<Self> {
        let mut labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        Arc::new(Self { book: book.clone(), key: format!("{} {}", key.name(), labels.join(" ")) })
    }

    fn set(&self, value: f64) {
        self.book.0.lock().unwrap().insert(self.key.clone(), value);
    }
}

impl CounterFn for Entry {
    fn increment(&self, _: u64) {
        panic!("{}: the snapshot knows the whole count", self.key);
    }

    fn absolute(&self, value: u64) {
        self.set(value as f64);
    }
}

impl GaugeFn for Entry {
    fn increment(&self, _: f64) {
        panic!("{}: the snapshot knows the value", self.key);
    }

    fn decrement(&self, _: f64) {
        panic!("{}: the snapshot knows the value", self.key);
    }

    fn set(&self, value: f64) {
        Entry::set(self, value);
    }
}

impl Recorder for Book {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Entry::of(self, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Entry::of(self, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("{}: no histogram is recorded", key.name());
    }
}

#[test]
fn the_recorder_is_given_every_number_of_the_snapshot() {
    within_deadline(|| {
        let (pool, remote) = start(builder(2).measure_latency(true));
        for n in 0..20 {
            pool.call(remote.bytes, vec![0; n]).wait().unwrap();
        }
        pool.call(remote.fail, ()).wait().unwrap_err();
        // Without a recorder nothing happens.
        pool.metrics().emit("main");
        let (snapshot, book) = (pool.metrics(), Book::default());
        metrics::with_local_recorder(&book, || snapshot.emit("main"));
        let book = book.0.lock().unwrap();
        let find = |key: &str| *book.get(key).unwrap_or_else(|| panic!("{key}: {book:#?}"));
        let mut names = 0;
        for (at, lane) in snapshot.lanes.iter().enumerate() {
            for (name, expected) in [
                ("calls", lane.calls),
                ("answers", lane.answers),
                ("rejected", lane.rejected),
                ("failed", lane.failed),
                ("returned", lane.returned),
                ("withdrawn", lane.withdrawn),
                ("given_up", lane.given_up),
                ("bytes_out", lane.bytes_out),
                ("bytes_in", lane.bytes_in),
                ("spins", lane.spins),
                ("parks", lane.parks),
                ("wakes", lane.wakes),
                ("restarts", lane.restarts),
                ("poisonings", lane.poisonings),
                ("in_flight", lane.in_flight),
            ] {
                assert_eq!(find(&format!("knit_{name} lane={at} pool=main")), expected as f64);
                names += 1;
            }
            let latency = lane.latency.as_ref().unwrap();
            for (quantile, percent) in [("0.5", 50.0), ("0.9", 90.0), ("0.99", 99.0), ("1", 100.0)]
            {
                let found =
                    find(&format!("knit_latency_seconds lane={at} pool=main quantile={quantile}"));
                assert_eq!(found, latency.percentile(percent).as_secs_f64());
                names += 1;
            }
        }
        for name in [
            "queued",
            "queue_refused",
            "queue_waited",
            "queue_given_up",
            "queue_failed",
            "queue_depth",
            "queue_waiting",
        ] {
            assert_eq!(find(&format!("knit_{name} pool=main")), 0.0);
            names += 1;
        }
        assert_eq!(book.len(), names, "and nothing else");
        let calls = |at| find(&format!("knit_calls lane={at} pool=main"));
        assert_eq!(calls(0) + calls(1), 21.0);
    });
}
