//! The memory map and the boot description of a Knitting host.

use serde_json::{Value as Json, json};

/// Start and length of every area, each start a multiple of 64.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Signals.
    pub signals: (u32, u32),
    /// Lock sectors: requests, responses.
    pub locks: [(u32, u32); 2],
    /// Header blocks: requests, responses.
    pub headers: [(u32, u32); 2],
    /// The abort bits, for so many signals.
    pub aborts: Option<((u32, u32), u32)>,
    /// Payload regions: requests, responses.
    pub payloads: [(u32, u32); 2],
    /// Length of all.
    pub size: u32,
}

impl Places {
    /// The areas one after another, as a process worker has them.
    #[must_use]
    pub fn new(payload: u32, aborts: Option<u32>) -> Self {
        let mut end = 0;
        let mut area = |bytes: u32| {
            let at = end;
            end += bytes.next_multiple_of(64);
            (at, bytes)
        };
        Self {
            signals: area(192),
            locks: [area(256), area(256)],
            headers: [area(18_432), area(18_432)],
            aborts: aborts.map(|signals| (area(signals.div_ceil(32) * 4), signals)),
            payloads: [area(payload), area(payload)],
            size: end,
        }
    }
}

/// The value of `KNITTING_PROCESS_WORKER_BOOT` for inherited memory, or that of a name.
#[must_use]
pub fn boot(places: &Places, names: &[&str], name: Option<&str>) -> Json {
    let size = places.size;
    let mut descriptor = json!({
        "version": 1, "fd": 0, "size": size, "byteLength": size,
        "runtime": "node", "kind": "shared-array-buffer", "baseAddressMod64": 0,
    });
    if let Some(name) = name {
        descriptor["fd"] = 21.into();
        descriptor["name"] = name.into();
    }
    let place = |(at, bytes): (u32, u32)| {
        json!({
            "version": 1, "descriptor": descriptor, "byteOffset": at, "byteLength": bytes,
        })
    };
    let lock = |which: usize| {
        json!({
            "headers": place(places.headers[which]),
            "headerSlotStrideU32": 144,
            "lockSector": place(places.locks[which]),
            "payloadSector": place(places.locks[which]),
            "payload": place(places.payloads[which]),
        })
    };
    let payload = places.payloads[0].1;
    let mut data = json!({
        "sab": place(places.signals),
        "list": ["file:///app/tasks.js"],
        "ids": [-1],
        "names": names,
        "at": [-1],
        "thread": 0,
        "workerOptions": {
            "runtime": "process", "processRuntime": "node", "timers": { "parkMs": 1 },
        },
        "totalNumberOfThread": 1,
        "startAt": 30.5,
        "lock": lock(0),
        "returnLock": lock(1),
        "payloadConfig": {
            "mode": "fixed", "payloadInitialBytes": payload, "payloadMaxByteLength": payload,
            "maxPayloadBytes": payload / 8,
        },
    });
    if let Some((area, signals)) = places.aborts {
        data["abortSignalSAB"] = place(area);
        data["abortSignalMax"] = signals.into();
    }
    json!({ "version": 1, "workerData": data })
}
