//! Boot descriptions, as the crate reads them.

use knit_lanes::{Boot, BootError};
use knit_tests::vector_files::text;
use serde_json::{Value as Json, json};

/// Panics where the crate reads the description of a vector in another way.
pub fn hold_boot(json: &Json) {
    let read = Boot::from_json(text(json, "text"));
    match text(json, "verdict") {
        "accepted" => {
            let boot = read.unwrap();
            assert_eq!(known(&boot), json["description"]);
            // What the crate writes of it says the same.
            assert_eq!(Boot::from_json(&boot.to_json().unwrap()), Ok(boot));
        }
        "refused" => {
            assert!(json.get("description").is_none());
            let error = read.unwrap_err();
            assert!(
                matches!(error, BootError::Malformed { .. } | BootError::Version { .. }),
                "{error}"
            );
        }
        other => panic!("the verdict {other}"),
    }
}

/// What the crate knows of a description, as the vectors have it.
fn known(boot: &Boot) -> Json {
    json!({
        "version": 1,
        "epoch": boot.epoch,
        "lane": boot.lane.to_string(),
        "host_pid": boot.host_pid,
        "host_pid_namespace": boot.host_pid_namespace.to_string(),
        "host_time_namespace": boot.host_time_namespace.to_string(),
        "max_payload": boot.max_payload,
        "max_causes": boot.max_causes,
        "max_depth": boot.max_depth,
        "max_text": boot.max_text,
        "max_elements": boot.max_elements,
        "max_limbs": boot.max_limbs,
        "max_fields": boot.max_fields,
        "spin_us": boot.spin_us,
        "max_buffers": boot.max_buffers,
        "new_privileges": boot.new_privileges,
        "eventfd": boot.eventfd,
        "socket": boot.socket,
        "tasks": boot.tasks,
    })
}
