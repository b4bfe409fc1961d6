//! The boot description of a Knitting worker process, checked.

use super::BOOT_ENV;
use super::object::Object;
use core::time::Duration;
use knit_proto::{ARENA_GRANULE, BareLayout, BareLayoutError, Region, SLOT_STRIDE};
use serde::Deserialize;

/// Version of the description and of what is inside it.
const VERSION: u32 = 1;
/// Longest wait of a worker that its host may not be able to wake.
const UNHEARD: Duration = Duration::from_millis(1);
/// Longest wait of a worker that its host says it can wake: its wake-ups can be lost (KD-27).
const HEARD: Duration = Duration::from_millis(50);
/// How long a worker spins before it sleeps, for each lane, where the description does not say.
const SPIN_EACH_LANE: Duration = Duration::from_micros(50);
/// Longest spin, whatever the description says.
const MAX_SPIN: Duration = Duration::from_secs(1);
/// Longest name of a shared memory object (`NAME_MAX`).
const MAX_NAME: usize = 255;
/// Most tasks of a pool: function indexes travel in sixteen bits.
const MAX_TASKS: usize = 1 << 16;

/// What the host of a pool of Knitting tells a worker process, checked: every region is aligned, of the
/// length that the format needs, inside the shared object and apart from the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot {
    object: SharedObject,
    len: u32,
    layout: BareLayout,
    names: Vec<String>,
    lane: u32,
    max_payload: u32,
    spin: Duration,
    park: Duration,
}

/// Where the shared memory of a worker process is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharedObject {
    /// It is standard input.
    Inherited,
    /// It is the POSIX shared memory object of this name.
    Named(String),
}

impl Boot {
    /// Reads and checks a description.
    ///
    /// # Errors
    ///
    /// See [`BootError`].
    pub fn from_json(text: &str) -> Result<Self, BootError> {
        let version: Object<Versioned> = parse(text)?;
        versioned("", version.version)?;
        let raw: Object<RawBoot> = parse(text)?;
        raw.into_inner().worker_data.into_inner().check()
    }

    /// Reads and checks the description of this process.
    ///
    /// # Errors
    ///
    /// As [`Self::from_json`], and [`BootError::Missing`] when there is none.
    pub fn from_env() -> Result<Self, BootError> {
        let text = std::env::var_os(BOOT_ENV).ok_or(BootError::Missing)?;
        let text = text
            .to_str()
            .ok_or_else(|| BootError::Malformed { problem: "it is not UTF-8".to_owned() })?;
        Self::from_json(text)
    }

    /// Where the shared memory is.
    #[must_use]
    pub fn object(&self) -> &SharedObject {
        &self.object
    }

    /// Length of the shared memory in bytes.
    #[expect(clippy::len_without_is_empty, reason = "it holds a lane block")]
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Where everything is in it.
    #[must_use]
    pub fn layout(&self) -> &BareLayout {
        &self.layout
    }

    /// Names of the tasks; the position of a name is its function index.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of the lane in its pool.
    #[must_use]
    pub fn lane(&self) -> u32 {
        self.lane
    }

    /// Longest payload in bytes.
    #[must_use]
    pub fn max_payload(&self) -> u32 {
        self.max_payload
    }

    /// How long the worker spins before it sleeps.
    #[must_use]
    pub fn spin(&self) -> Duration {
        self.spin
    }

    /// The longest sleep. One millisecond where the host has no way to wake a process; never more than
    /// fifty, because its wake-ups can be lost.
    #[must_use]
    pub fn park(&self) -> Duration {
        self.park
    }
}

/// Why a worker cannot use its boot description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// The variable is not set.
    #[error(
        "{BOOT_ENV} is not set: hosts set it for worker processes whose command has a prefix \
         (`processCommandPrefix`)"
    )]
    Missing,
    /// It is not JSON, or a field is missing or has another type.
    #[error("{BOOT_ENV} is malformed: {problem}")]
    Malformed {
        /// What is wrong.
        problem: String,
    },
    /// It is of another version, or some part of it is.
    #[error("{BOOT_ENV}: {field}version is {found}, expected {VERSION}")]
    Version {
        /// The part, with a dot after it; empty for the whole.
        field: String,
        /// Its version.
        found: u32,
    },
    /// A field has a value that no worker process can have.
    #[error("{BOOT_ENV}: {field}: {problem}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The regions are not those of a lane block.
    #[error("{BOOT_ENV}: {0}")]
    Layout(#[from] BareLayoutError),
}

fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, BootError> {
    serde_json::from_str(text).map_err(|error| BootError::Malformed { problem: error.to_string() })
}

fn versioned(field: &str, found: u32) -> Result<(), BootError> {
    if found == VERSION {
        return Ok(());
    }
    Err(BootError::Version { field: field.to_owned(), found })
}

fn wrong(field: impl Into<String>, problem: &'static str) -> BootError {
    BootError::Field { field: field.into(), problem }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBoot {
    worker_data: Object<WorkerData>,
}

/// What the worker is told. Fields that are only there to be checked are those that hosts always send.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "a description without these fields is not one of this version")]
struct WorkerData {
    sab: Object<Place>,
    #[serde(rename = "abortSignalSAB")]
    abort_signal_sab: Option<Object<Place>>,
    abort_signal_max: Option<u32>,
    list: Vec<String>,
    ids: Vec<f64>,
    names: Vec<String>,
    at: Vec<f64>,
    thread: u32,
    total_number_of_thread: u32,
    start_at: f64,
    worker_options: Option<Object<WorkerOptions>>,
    lock: Object<Lock>,
    return_lock: Object<Lock>,
    payload_config: Option<Object<PayloadConfig>>,
    steal: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WorkerOptions {
    process_runtime: Option<String>,
    timers: Object<Timers>,
}

/// What is infinite in JavaScript is null in JSON.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Timers {
    spin_microseconds: Option<f64>,
    park_ms: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PayloadConfig {
    max_payload_bytes: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    headers: Object<Place>,
    header_slot_stride_u32: u32,
    lock_sector: Object<Place>,
    payload: Object<Place>,
    payload_sector: Object<Place>,
}

/// A region of the shared object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    version: u32,
    descriptor: Object<Descriptor>,
    byte_offset: u64,
    byte_length: u64,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    version: u32,
    fd: i32,
    size: u64,
    byte_length: u64,
    runtime: String,
    kind: String,
    name: Option<String>,
}

impl WorkerData {
    fn check(self) -> Result<Boot, BootError> {
        let object = &*self.sab.descriptor;
        let shared = object.source()?;
        let len =
            u32::try_from(object.size).map_err(|_| wrong("descriptor.size", "more than 4 GiB"))?;
        if self.names.len() > MAX_TASKS {
            return Err(wrong("names", "more tasks than function indexes"));
        }
        if self.steal.is_some() {
            return Err(wrong("steal", "process workers have a mailbox of their own"));
        }
        let capacity = match (&self.abort_signal_sab, self.abort_signal_max) {
            (None, _) => 0,
            (Some(_), Some(capacity)) => capacity,
            (Some(_), None) => {
                return Err(wrong("abortSignalMax", "missing, but there is `abortSignalSAB`"));
            }
        };
        for (name, place) in self.places() {
            place.check(&name, object)?;
        }
        for (name, lock) in [("lock", &self.lock), ("returnLock", &self.return_lock)] {
            lock.check(name)?;
        }
        let at = |place: &Place| (place.byte_offset, place.byte_length);
        let abort = self.abort_signal_sab.as_deref().map_or((0, 0), at);
        let granule = u64::from(ARENA_GRANULE);
        let (request_at, request_bytes) = at(&self.lock.payload);
        let (response_at, response_bytes) = at(&self.return_lock.payload);
        // The host rounds each region up when it lays them out, and puts the last block of a request up
        // to the end of what it announced. Answers stay inside what it announced.
        let request =
            (request_at, request_bytes.checked_next_multiple_of(granule).unwrap_or(u64::MAX));
        let response = (response_at, response_bytes / granule * granule);
        let places: [_; Region::ALL.len()] = [
            at(&self.sab),
            at(&self.lock.lock_sector),
            at(&self.return_lock.lock_sector),
            at(&self.lock.headers),
            at(&self.return_lock.headers),
            abort,
            request,
            response,
        ];
        let layout = BareLayout::new(len, places, capacity)?;
        // Arenas are at most 1 GiB.
        let implied = u32::try_from(request_bytes.min(response_bytes) / 8).unwrap_or(u32::MAX);
        let max_payload =
            self.payload_config.as_ref().map_or(implied, |config| config.max_payload_bytes);
        if u64::from(max_payload) > request_bytes.min(response_bytes) {
            return Err(wrong("payloadConfig.maxPayloadBytes", "more than a payload region holds"));
        }
        let options = self.worker_options.unwrap_or_default();
        let lanes = self.total_number_of_thread.clamp(1, 1 << 10);
        let spin = options.timers.spin_microseconds;
        let spin = match spin {
            Some(spin) => duration("workerOptions.timers.spinMicroseconds", spin / 1e6)?,
            None => SPIN_EACH_LANE * lanes,
        };
        // A host wakes by futex where both sides are Node. KNITTING 10.
        let heard = object.runtime == "node" && options.process_runtime.as_deref() == Some("node");
        let longest = if heard { HEARD } else { UNHEARD };
        let park = match options.timers.park_ms {
            Some(park) => duration("workerOptions.timers.parkMs", park / 1e3)?,
            None => longest,
        };
        Ok(Boot {
            object: shared,
            len,
            layout,
            names: self.names,
            lane: self.thread,
            max_payload,
            spin: spin.min(MAX_SPIN),
            park: park.clamp(UNHEARD / 10, longest),
        })
    }

    fn places(&self) -> impl Iterator<Item = (String, &Place)> {
        let abort = self.abort_signal_sab.as_deref();
        let abort = abort.map(|place| ("abortSignalSAB".to_owned(), place));
        [("sab".to_owned(), &*self.sab)]
            .into_iter()
            .chain(abort)
            .chain(self.lock.places("lock"))
            .chain(self.return_lock.places("returnLock"))
    }
}

impl Lock {
    fn places(&self, name: &str) -> [(String, &Place); 4] {
        [
            (format!("{name}.headers"), &self.headers),
            (format!("{name}.lockSector"), &self.lock_sector),
            (format!("{name}.payload"), &self.payload),
            (format!("{name}.payloadSector"), &self.payload_sector),
        ]
    }

    fn check(&self, name: &str) -> Result<(), BootError> {
        if self.header_slot_stride_u32.checked_mul(4) != Some(SLOT_STRIDE) {
            return Err(wrong(format!("{name}.headerSlotStrideU32"), "expected 144"));
        }
        let (sector, other) = (&self.lock_sector, &self.payload_sector);
        if (sector.byte_offset, sector.byte_length) != (other.byte_offset, other.byte_length) {
            return Err(wrong(format!("{name}.payloadSector"), "it is not the lock sector"));
        }
        Ok(())
    }
}

impl Place {
    fn check(&self, name: &str, object: &Descriptor) -> Result<(), BootError> {
        versioned(&format!("{name}."), self.version)?;
        versioned(&format!("{name}.descriptor."), self.descriptor.version)?;
        if *self.descriptor != *object {
            return Err(wrong(format!("{name}.descriptor"), "it is of another object than `sab`"));
        }
        Ok(())
    }
}

impl Descriptor {
    fn source(&self) -> Result<SharedObject, BootError> {
        if !self.size.is_multiple_of(ARENA_GRANULE.into()) || self.byte_length > self.size {
            return Err(wrong("descriptor.size", "no multiple of 64, or less than `byteLength`"));
        }
        match &self.name {
            // The host's number means nothing here.
            Some(name) => match name.len() {
                1..=MAX_NAME if !name.contains(['/', '\0']) && name != "." && name != ".." => {
                    Ok(SharedObject::Named(name.clone()))
                }
                _ => Err(wrong("descriptor.name", "no name of a shared memory object")),
            },
            None if self.fd == 0 => Ok(SharedObject::Inherited),
            None => Err(wrong("descriptor.fd", "expected 0, or a name")),
        }
    }
}

fn duration(field: &str, seconds: f64) -> Result<Duration, BootError> {
    // What is too long for a duration is cut by the caller anyway.
    match Duration::try_from_secs_f64(seconds.min(1e6)) {
        Ok(duration) => Ok(duration),
        Err(_) => Err(wrong(field, "negative")),
    }
}
