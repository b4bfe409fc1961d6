//! The boot description: what a worker process learns from its environment.

use crate::DEFAULT_MAX_BUFFERS;
use knit_codec::Limits;
use serde::{Deserialize, Serialize};

/// Environment variable that holds the boot description of a worker process.
pub const BOOT_ENV: &str = "KNIT_BOOT";

/// Version of the boot description that this crate writes and reads.
const VERSION: u32 = 1;

/// Longest boot description, in bytes. Linux takes 128 KiB for one environment string, name and
/// terminator included.
const MAX_BYTES: usize = (128 << 10) - 64;

/// What a worker process is told when it starts, as JSON in [`BOOT_ENV`]. The segment itself is
/// file descriptor 0, unless [`Self::socket`] is there.
///
/// Nothing in it is trusted: length and geometry of the segment come from the kernel and from the
/// checked header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    version: u32,
    /// Epoch of the segment: the worker refuses a segment of another one.
    pub epoch: u32,
    /// Number of the lane in its pool.
    pub lane: usize,
    /// Process id of the host: the worker ends when that process has ended.
    pub host_pid: u32,
    /// Inode of the host's pid namespace: in another one `host_pid` means nothing.
    pub host_pid_namespace: u64,
    /// Inode of the host's time namespace: in another one its deadlines mean nothing. Optional, 0 where it is not known: hosts
    /// of before did not say it. LANE-48.
    #[serde(default)]
    pub host_time_namespace: u64,
    /// Longest payload in bytes.
    pub max_payload: u32,
    /// Longest chain of causes.
    pub max_causes: u32,
    /// Deepest nesting of JSON text.
    pub max_depth: u32,
    /// Longest text in bytes. Optional, as the next three: hosts of before did not say it.
    #[serde(default = "unlimited")]
    pub max_text: u32,
    /// Most elements of an array of numbers.
    #[serde(default = "unlimited")]
    pub max_elements: u32,
    /// Longest bigint in limbs of 64 bits.
    #[serde(default = "default_max_limbs")]
    pub max_limbs: u32,
    /// Most fields of an error and its causes together.
    #[serde(default = "default_max_fields")]
    pub max_fields: u32,
    /// How long to spin before sleeping, in microseconds.
    pub spin_us: u32,
    /// Most shared buffers that each side has from the other one. Optional: hosts that have no control
    /// channel do not say it.
    #[serde(default = "default_max_buffers")]
    pub max_buffers: u32,
    /// Whether programs that the worker starts may gain privileges. Optional: they may not.
    #[serde(default)]
    pub new_privileges: bool,
    /// Number of the descriptor that the worker inherits as its host's eventfd. Optional: hosts without one
    /// do not say it. WAKE-10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eventfd: Option<u32>,
    /// Path of the socket over which the worker is handed its segment and control channel. Optional: workers that
    /// have none inherit both. LANE-43.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// Task names; the position of a name is its function index.
    pub tasks: Vec<String>,
}

impl Boot {
    /// A boot description of the current version, for a worker of this process.
    #[must_use]
    pub fn new(epoch: u32, lane: usize, limits: &Limits, spin_us: u32, tasks: Vec<String>) -> Self {
        Self {
            version: VERSION,
            epoch,
            lane,
            host_pid: std::process::id(),
            host_pid_namespace: crate::process::pid_namespace(),
            host_time_namespace: crate::clock::time_namespace(),
            max_payload: limits.payload,
            max_causes: limits.causes,
            max_depth: limits.depth,
            max_text: limits.text,
            max_elements: limits.elements,
            max_limbs: limits.limbs,
            max_fields: limits.fields,
            spin_us,
            max_buffers: DEFAULT_MAX_BUFFERS,
            new_privileges: false,
            eventfd: None,
            socket: None,
            tasks,
        }
    }

    /// The same with another limit of shared buffers.
    #[must_use]
    pub fn with_max_buffers(self, max_buffers: u32) -> Self {
        Self { max_buffers, ..self }
    }

    /// The same for a worker whose programs may gain privileges.
    #[must_use]
    pub fn with_new_privileges(self, new_privileges: bool) -> Self {
        Self { new_privileges, ..self }
    }

    /// The same for a worker that inherits its host's eventfd as this descriptor. It must be 4 or above, so that it
    /// is neither the segment nor an output stream nor the control channel. The segment must offer
    /// [`Features::EVENTFD`](knit_proto::Features::EVENTFD).
    #[must_use]
    pub fn with_eventfd(self, descriptor: u32) -> Self {
        Self { eventfd: Some(descriptor), ..self }
    }

    /// The same for a worker that is handed its lane over the socket with this path.
    #[must_use]
    pub fn with_socket(self, path: impl Into<String>) -> Self {
        Self { socket: Some(path.into()), ..self }
    }

    /// What the header of the segment says of the task names: `HeaderFields::tasks`. LANE-7.
    #[must_use]
    pub fn tasks_hash(&self) -> u64 {
        hash_names(&self.tasks)
    }

    /// The limits that both ends of the lane have.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits::default()
            .with_payload(self.max_payload)
            .with_text(self.max_text)
            .with_elements(self.max_elements)
            .with_limbs(self.max_limbs)
            .with_causes(self.max_causes)
            .with_fields(self.max_fields)
            .with_depth(self.max_depth)
    }

    /// The description as JSON.
    ///
    /// # Errors
    ///
    /// [`BootError::TooLong`] when it does not fit an environment variable.
    pub fn to_json(&self) -> Result<String, BootError> {
        let text = serde_json::to_string(self).map_err(|error| BootError::malformed(&error))?;
        if text.len() > MAX_BYTES {
            return Err(BootError::TooLong { bytes: text.len(), max: MAX_BYTES });
        }
        Ok(text)
    }

    /// Reads a description.
    ///
    /// # Errors
    ///
    /// [`BootError::Malformed`] when it is not JSON or a field is missing or has another type;
    /// [`BootError::Version`] when it is of another version.
    pub fn from_json(text: &str) -> Result<Self, BootError> {
        #[derive(Deserialize)]
        struct Probe {
            version: u32,
        }
        let probe: Probe =
            serde_json::from_str(text).map_err(|error| BootError::malformed(&error))?;
        if probe.version != VERSION {
            return Err(BootError::Version { found: probe.version, expected: VERSION });
        }
        serde_json::from_str(text).map_err(|error| BootError::malformed(&error))
    }

    /// Reads the description of this process.
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
}

fn unlimited() -> u32 {
    u32::MAX
}

fn default_max_limbs() -> u32 {
    Limits::default().limbs
}

fn default_max_fields() -> u32 {
    Limits::default().fields
}

fn default_max_buffers() -> u32 {
    DEFAULT_MAX_BUFFERS
}

/// Hash of a table of task names, for the segment's header: 64-bit FNV-1a over the names, each
/// followed by a zero byte.
pub(crate) fn hash_names(names: &[String]) -> u64 {
    let bytes = names.iter().flat_map(|name| name.bytes().chain([0]));
    fnv1a(bytes)
}

/// 64-bit FNV-1a (Fowler, Noll, Vo; offset basis and prime as published).
pub(crate) fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Why there is no usable boot description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// The variable is not set.
    #[error("{BOOT_ENV} is not set: this process was not started by a pool")]
    Missing,
    /// It cannot be read.
    #[error("{BOOT_ENV} is malformed: {problem}")]
    Malformed {
        /// What is wrong.
        problem: String,
    },
    /// It is of another version.
    #[error(
        "{BOOT_ENV} has version {found}, expected {expected}: host and worker use different releases"
    )]
    Version {
        /// Its version.
        found: u32,
        /// The version that this crate reads.
        expected: u32,
    },
    /// It does not fit an environment variable.
    #[error("the boot description takes {bytes} bytes, at most {max} fit")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
}

impl BootError {
    fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed { problem: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot() -> Boot {
        Boot::new(3, 1, &Limits::default(), 50, vec!["square".to_owned(), "grüße".to_owned()])
    }

    #[test]
    fn a_description_survives_the_environment() {
        assert_eq!(Boot::from_json(&boot().to_json().unwrap()), Ok(boot()));
    }

    #[test]
    fn all_limits_travel() {
        let limits = Limits::default()
            .with_payload(1)
            .with_text(2)
            .with_elements(3)
            .with_limbs(4)
            .with_causes(5)
            .with_fields(6)
            .with_depth(7);
        let boot = Boot::new(1, 0, &limits, 0, vec![]);
        assert_eq!(Boot::from_json(&boot.to_json().unwrap()).unwrap().limits(), limits);
    }

    /// LANE-49.
    #[test]
    fn every_missing_or_mistyped_field_is_named() {
        let value: serde_json::Value = serde_json::from_str(&boot().to_json().unwrap()).unwrap();
        let fields: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields.len(), 17);
        assert!(!value.as_object().unwrap().contains_key("eventfd"));
        assert!(!value.as_object().unwrap().contains_key("socket"));
        // Came later: hosts without them have the defaults.
        let later = [
            "max_buffers",
            "max_text",
            "max_elements",
            "max_limbs",
            "max_fields",
            "new_privileges",
        ];
        for field in fields {
            let mut without = value.clone();
            without.as_object_mut().unwrap().remove(&field);
            if field == "host_time_namespace" {
                let unknown = Boot { host_time_namespace: 0, ..boot() };
                assert_eq!(Boot::from_json(&without.to_string()), Ok(unknown));
            } else if later.contains(&field.as_str()) {
                assert_eq!(Boot::from_json(&without.to_string()), Ok(boot()));
            } else {
                let error = Boot::from_json(&without.to_string()).unwrap_err();
                assert!(error.to_string().contains(&field), "{field}: {error}");
            }
            let mut mistyped = value.clone();
            mistyped[&field] = serde_json::json!({});
            assert!(matches!(
                Boot::from_json(&mistyped.to_string()),
                Err(BootError::Malformed { .. })
            ));
        }
    }

    /// LANE-49, and what it leaves to the reader: members twice, other forms of a number, unpaired surrogates.
    #[test]
    fn numbers_are_whole_ones_within_their_range() {
        let text = boot().with_eventfd(4).to_json().unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let numbers: Vec<_> =
            value.as_object().unwrap().iter().filter(|it| it.1.is_u64()).collect();
        assert_eq!(numbers.len(), 16);
        for (name, number) in numbers {
            let with = |number: &str| {
                let (from, to) =
                    (format!(r#""{name}":{}"#, value[name]), format!(r#""{name}":{number}"#));
                assert_eq!(text.matches(&from).count(), 1, "{name}");
                Boot::from_json(&text.replace(&from, &to))
            };
            let bits = match &**name {
                "lane" | "host_pid_namespace" | "host_time_namespace" => 64,
                _ => 32,
            };
            for outside in
                [(1_u128 << bits).to_string(), "-1".into(), "18446744073709551616".into()]
            {
                assert!(
                    matches!(with(&outside), Err(BootError::Malformed { .. })),
                    "{name} {outside}"
                );
            }
            if name != "version" {
                assert!(
                    with("0").is_ok() && with(&((1_u128 << bits) - 1).to_string()).is_ok(),
                    "{name}"
                );
            }
            let number = number.to_string();
            for form in [format!("{number}.0"), format!("{number}e0"), format!("\"{number}\"")] {
                assert!(matches!(with(&form), Err(BootError::Malformed { .. })), "{name} {form}");
            }
            let null = with("null");
            if name == "eventfd" {
                assert_eq!(null, Ok(boot()));
            } else {
                assert!(matches!(null, Err(BootError::Malformed { .. })), "{name} null");
            }
            let twice = with(&format!(r#"{number},"{name}":{number}"#));
            assert!(matches!(twice, Err(BootError::Malformed { .. })), "{name} twice");
        }
        let null = text.replace(r#""tasks""#, r#""socket":null,"other":[1e9],"tasks""#);
        assert_eq!(Boot::from_json(&null), Ok(boot().with_eventfd(4)));
        let surrogate = text.replace("grüße", r"\ud800");
        assert!(matches!(Boot::from_json(&surrogate), Err(BootError::Malformed { .. })));
    }

    #[test]
    fn a_host_with_an_eventfd_says_its_number() {
        let boot = boot().with_eventfd(4);
        let text = boot.to_json().unwrap();
        assert!(text.contains(r#""eventfd":4"#), "{text}");
        assert_eq!(Boot::from_json(&text), Ok(boot));
        for wrong in ["-1", "4294967296", "4.5", "[]", "\"4\"", "true"] {
            let text = text.replace(r#""eventfd":4"#, &format!(r#""eventfd":{wrong}"#));
            assert!(matches!(Boot::from_json(&text), Err(BootError::Malformed { .. })), "{text}");
        }
    }

    /// LANE-43.
    #[test]
    fn a_host_with_a_socket_says_its_path() {
        let boot = boot().with_socket("/run/x y/ü");
        let text = boot.to_json().unwrap();
        assert!(text.contains(r#""socket":"/run/x y/ü""#), "{text}");
        assert_eq!(Boot::from_json(&text), Ok(boot));
        let wrong = text.replace(r#""/run/x y/ü""#, "7");
        assert!(matches!(Boot::from_json(&wrong), Err(BootError::Malformed { .. })));
    }

    #[test]
    fn other_versions_and_other_texts_are_refused() {
        let text = boot().to_json().unwrap().replace("\"version\":1", "\"version\":2");
        assert_eq!(Boot::from_json(&text), Err(BootError::Version { found: 2, expected: 1 }));
        for text in ["", "{", "null", "[]", "\u{feff}{}"] {
            assert!(matches!(Boot::from_json(text), Err(BootError::Malformed { .. })), "{text:?}");
        }
    }

    /// KD-17: one environment string has an end, and the table of tasks may be longer.
    #[test]
    fn a_description_that_does_not_fit_is_refused() {
        let mut long = boot();
        long.tasks = vec!["x".repeat(1000); 200];
        assert!(matches!(long.to_json(), Err(BootError::TooLong { .. })));
    }

    #[test]
    fn the_hash_tells_names_and_borders_apart() {
        let hash =
            |names: &[&str]| hash_names(&names.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
        assert_ne!(hash(&["a", "b"]), hash(&["b", "a"]));
        // FNV-1a of the empty input is its offset basis.
        assert_eq!(hash(&[]), 0xcbf2_9ce4_8422_2325);
    }
}
