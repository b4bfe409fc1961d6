//! Files that are no segment, and headers that say what is not so.

use super::carries_on;
use crate::case::{Case, Course, Deed, Expect};
use crate::host::{EPOCH, SEALS, Start, Stdin};
use knit_proto::{Features, READY_BIT, RawHeader, Span, Version, field, ready_word};
use rustix::fs::SealFlags;

/// First number of the files, below 150.
const FILES: u32 = 100;
/// First number of the headers, below 300.
const HEADERS: u32 = 150;
/// First number of what is done to a header behind the worker's back, below 310.
const REWRITES: u32 = 300;
/// First number of the segments that are odd and right, below 320.
const SHAPES: u32 = 310;

/// The cases. Rows are only ever added at the end of a list.
pub(super) fn all() -> Vec<Case> {
    let case = |number, name: String, clause, expect, start, course| Case {
        number,
        name,
        clause,
        expect,
        deed: Deed::Host(start, course),
    };
    let mut cases = Vec::new();
    for (number, (name, clause, stdin)) in (FILES..).zip(files()) {
        let start = Start { stdin, ..Start::default() };
        let name = format!("file-{name}");
        cases.push(case(number, name, clause, Expect::Refuses, start, carries_on()));
    }
    for (number, (name, clause, expect, header)) in (HEADERS..).zip(headers()) {
        let start = Start { header, ..Start::default() };
        let name = format!("header-{name}");
        cases.push(case(number, name, clause, expect, start, carries_on()));
    }
    for (number, (name, course)) in (REWRITES..).zip(rewrites()) {
        let name = format!("rewritten-{name}");
        cases.push(case(number, name, "SEG-10", Expect::Carries, Start::default(), course));
    }
    for (number, (name, clause, start)) in (SHAPES..).zip(shapes()) {
        let name = format!("segment-{name}");
        cases.push(case(number, name, clause, Expect::Carries, start, carries_on()));
    }
    cases
}

/// Segments that few hosts make, and that every worker reads.
fn shapes() -> Vec<(&'static str, &'static str, Start)> {
    let pages = |pages| Start { pages, ..Start::default() };
    let signals = |signals| Start { signals, ..Start::default() };
    vec![
        ("of-2-extension-pages", "SEG-25", pages(2)),
        ("of-4096-extension-pages", "SEG-25", pages(4096)),
        ("of-1-signal", "SEG-17", signals(1)),
        ("of-65534-signals", "SEG-17", signals(65_534)),
    ]
}

fn files() -> Vec<(String, &'static str, Stdin)> {
    let all = SEALS.bits();
    let row = |name: &str, clause, stdin| (name.to_owned(), clause, stdin);
    let mut rows = vec![
        row("null", "SEG-24", Stdin::Null),
        row("pipe", "SEG-24", Stdin::Pipe),
        row("of-the-file-system", "SEG-24", Stdin::Plain),
        row("folder", "SEG-24", Stdin::Folder),
        row("read-only", "SEG-24", Stdin::ReadOnly),
        row("unsealed", "SEG-24", Stdin::Seals(0)),
        row("can-shrink", "SEG-24", Stdin::Seals(all & !SealFlags::SHRINK.bits())),
        row("can-grow", "SEG-24", Stdin::Seals(all & !SealFlags::GROW.bits())),
        row("can-be-sealed", "SEG-24", Stdin::Seals(all & !SealFlags::SEAL.bits())),
        row("cannot-be-written", "SEG-24", Stdin::Seals(all | SealFlags::WRITE.bits())),
        row("zeros", "SEG-7", Stdin::Memfd(2 << 20, all)),
    ];
    for len in [0, 1, 255, 256, 4095, 4096, 8191, 1 << 32] {
        rows.push(row(&format!("of-{len}-bytes"), "SEG-11", Stdin::Memfd(len, all)));
    }
    for more in [-4096, -64, -1, 1, 64, 4096] {
        let name =
            if more < 0 { format!("shorter-by-{}", -more) } else { format!("longer-by-{more}") };
        rows.push(row(&name, "SEG-11", Stdin::Longer(more)));
    }
    rows
}

type Row = (String, &'static str, Expect, Vec<(usize, u32)>);

fn headers() -> Vec<Row> {
    use Expect::Refuses;
    let honest = RawHeader::encode(&Start::default().fields()).0;
    let mut rows: Vec<Row> = Vec::new();
    let mut refuse = |name: &str, clause, index: usize, word: u32| {
        rows.push((name.to_owned(), clause, Refuses, vec![(index, word)]));
    };
    refuse("not-ready", "SEG-7", field::READY, 0);
    refuse(
        "ready-without-its-bit",
        "SEG-6",
        field::READY,
        ready_word(Version::CURRENT) & !READY_BIT,
    );
    refuse("ready-of-2-0", "SEG-6", field::READY, READY_BIT | 2 << 16);
    refuse("ready-max", "SEG-6", field::READY, u32::MAX);
    refuse("magic-0", "SEG-1", field::MAGIC, 0);
    refuse("magic-swapped", "SEG-1", field::MAGIC, honest[field::MAGIC].swap_bytes());
    refuse("magic-one-bit", "SEG-1", field::MAGIC, honest[field::MAGIC] ^ 1);
    refuse("byte-order-swapped", "SEG-2", field::BYTE_ORDER, 0x0403_0201);
    refuse("byte-order-0", "SEG-2", field::BYTE_ORDER, 0);
    for (name, word) in [("0", 0), ("2", 2), ("65536", 1 << 16), ("max", u32::MAX)] {
        refuse(&format!("major-{name}"), "SEG-3", field::MAJOR, word);
    }
    for (name, word) in [("65536", 1 << 16), ("max", u32::MAX)] {
        refuse(&format!("minor-{name}"), "SEG-3", field::MINOR, word);
    }
    for (name, index, words) in [
        ("header-bytes", field::HEADER_BYTES, [0, 252, 512]),
        ("page-bytes", field::PAGE_BYTES, [0, 64, 16_384]),
        ("slots", field::SLOTS, [0, 31, 64]),
        ("stride", field::SLOT_STRIDE, [0, 572, 640]),
        ("inline-bytes", field::INLINE_BYTES, [0, 508, 1024]),
    ] {
        for word in words {
            refuse(&format!("{name}-{word}"), "SEG-21", index, word);
        }
    }
    refuse("length-0", "SEG-11", field::SEGMENT_BYTES, 0);
    refuse("length-less", "SEG-11", field::SEGMENT_BYTES, honest[field::SEGMENT_BYTES] - 64);
    refuse("length-more", "SEG-11", field::SEGMENT_BYTES, honest[field::SEGMENT_BYTES] + 64);
    refuse("length-high-word", "SEG-11", field::SEGMENT_BYTES + 1, 1);
    refuse("epoch-0", "SEG-18", field::EPOCH, 0);
    refuse("epoch-other", "LANE-7", field::EPOCH, EPOCH + 1);
    for kind in [0, 3, 9, u32::MAX] {
        refuse(&format!("lane-kind-{kind}"), "SEG-20", field::LANE_KIND, kind);
    }
    for signals in [65_535, 65_536, u32::MAX] {
        refuse(&format!("signals-{signals}"), "SEG-17", field::ABORT_CAPACITY, signals);
    }
    // Fewer words of abort bits than so many signals take.
    refuse("signals-without-room", "SEG-12", field::ABORT_CAPACITY, 64);
    refuse("tasks-low", "LANE-7", field::TASKS, honest[field::TASKS] ^ 1);
    refuse("tasks-high", "LANE-7", field::TASKS + 1, honest[field::TASKS + 1] ^ 1 << 31);
    for (index, side) in
        [(field::REQUEST_RESERVED, "request"), (field::RESPONSE_RESERVED, "response")]
    {
        for word in [1, 65, 1 << 20, u32::MAX] {
            refuse(&format!("{side}-reserved-{word}"), "SEG-22", index, word);
        }
    }
    let two = Features::FUTEX_BELLS.bits() | 1 << 2 | 1 << 31;
    refuse("requires-bits-2-and-31", "SEG-8", field::REQUIRED, two);
    // Bits that are assigned aside.
    for bit in (2..32).filter(|bit| ![3, 5].contains(bit)) {
        let required = Features::FUTEX_BELLS.bits() | 1 << bit;
        refuse(&format!("requires-bit-{bit}"), "SEG-8", field::REQUIRED, required);
    }
    for bytes in [0, 1, 4095, 8192, 1 << 25] {
        refuse(&format!("extension-{bytes}"), "SEG-25", field::EXTENSION + 1, bytes);
    }
    let arenas = [(field::REGIONS + 13, "request"), (field::REGIONS + 15, "response")];
    for (index, side) in arenas {
        for bytes in [0, 64, 127, 1 << 19, (1 << 30) + 64, u32::MAX] {
            refuse(&format!("{side}-arena-{bytes}"), "SEG-16", index, bytes);
        }
    }
    // Every word that gives a place.
    let places = field::EXTENSION..field::REGIONS + 16;
    for (index, word) in honest.into_iter().enumerate().filter(|(index, _)| places.contains(index))
    {
        refuse(&format!("place-{index}"), "SEG-12", index, word.wrapping_add(64));
    }
    let newer = vec![(field::MINOR, 7), (field::READY, ready_word(Version { major: 1, minor: 7 }))];
    rows.push(("minor-7".to_owned(), "SEG-3", Expect::Carries, newer));
    let handles = Features::BUFFER_HANDLES.bits();
    // A journal is written by those who accept it, and nothing here looks at it.
    let journal = Features::JOURNAL.or(Features::WITHDRAW).bits();
    let others = Features::FUTEX_BELLS.bits() | handles | journal;
    let optional = vec![(field::OPTIONAL, !others)];
    rows.push(("every-optional-bit".to_owned(), "SEG-14", Expect::Carries, optional));
    let reserved = (46..63).chain([21]).map(|index| (index, u32::MAX)).collect();
    rows.push(("reserved-words".to_owned(), "SEG-14", Expect::Carries, reserved));
    rows
}

/// What is done to the header once the worker has attached.
fn rewrites() -> Vec<(&'static str, Course)> {
    let all = |word: u32| -> Course {
        Box::new(move |stage| {
            for at in (0..256).step_by(4) {
                stage.line.store_at(at, word);
            }
            stage.line.ring();
            Ok(())
        })
    };
    let arenas: Course = Box::new(|stage| {
        for index in (field::EXTENSION..field::REGIONS + 16).filter(|index| index % 2 == 1) {
            // At most 44 words of four bytes.
            stage.line.store_at(index as u32 * 4, 1 << 31);
        }
        stage.probe()
    });
    let during: Course = Box::new(|stage| {
        for round in 0..200_u32 {
            for at in (0..256).step_by(4) {
                stage.line.store_at(at, round.wrapping_mul(0x9e37_79b9));
            }
            if round % 20 == 0 {
                stage.probe()?;
            }
        }
        Ok(())
    });
    let holes: Course = Box::new(|stage| {
        let header = Span::new(0, 4096).expect("a page");
        crate::holes::punch(&stage.line, header)?;
        stage.probe()
    });
    vec![
        ("to-zeros", all(0)),
        ("to-ones", all(u32::MAX)),
        ("lengths", arenas),
        ("all-the-time", during),
        ("by-a-hole", holes),
    ]
}
