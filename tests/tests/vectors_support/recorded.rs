//! Bytes that were recorded from Knitting 0.1.61.

use knit_tests::vector_files::{File, Message, text};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;

const FILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/knitting-0.1.61.json");

/// Vectors and recordings of the same value: names without their clause, ids.
pub const SAME: &[(&str, &str)] = &[
    ("undefined", "undefined"),
    ("null", "null"),
    ("true", "true"),
    ("false", "false"),
    ("number-zero", "number_zero"),
    ("number-one", "number_one"),
    ("number-half", "number_half"),
    ("number-largest-safe-integer", "number_max_safe"),
    ("number-largest", "number_max"),
    ("number-infinity", "number_inf"),
    ("number-epsilon", "number_eps"),
    ("number-minus-two-31", "number_i32min"),
    ("number-nan", "number_nan"),
    ("bigint-zero", "bigint_zero"),
    ("bigint-minus-one", "bigint_neg_one"),
    ("bigint-i64-min", "bigint_i64_min"),
    ("bigint-i64-max-plus-1", "bigint_i64_max_plus1"),
    ("bigint-u64-max", "bigint_u64_max"),
    ("bigint-two-200", "bigint_pow_200"),
    ("bigint-longest-inline", "bigint_max_inline_511"),
    ("bigint-first-arena", "bigint_one_over_inline_512"),
    ("bigint-20001-bits", "bigint_neg_huge_20000bit"),
    ("string-empty", "string_empty"),
    ("string-nul", "string_nul"),
    ("string-two-bytes", "string_two_byte_e_acute"),
    ("string-replacement", "string_lone_low"),
    ("string-mark-kept", "string_bom"),
    ("string-mark-kept-arena", "string_bom_dynamic"),
    ("string-511-bytes", "string_ascii_511"),
    ("string-513-bytes", "string_one_over_513"),
    ("string-170-of-three", "string_three_byte_170"),
    ("string-171-of-three", "string_three_byte_171"),
    ("string-128-of-four", "string_emoji_128_512B"),
    ("string-2100-of-three", "string_long_unicode"),
    ("json-empty-object", "json_empty_obj"),
    ("json-simple", "json_simple"),
    ("json-unicode", "json_unicode"),
    ("json-array", "json_array_holes"),
    ("json-lone-surrogate", "json_lone_surrogate"),
    ("json-513-bytes", "json_one_over_513"),
    ("json-4104-bytes", "json_dynamic_4k"),
    ("date-epoch", "date_epoch"),
    ("date-before-epoch", "date_neg"),
    ("date-invalid", "date_invalid"),
    ("symbol-empty", "symbol_empty"),
    ("symbol-mixed", "symbol_uni"),
    ("symbol-171-units", "symbol_one_over_171"),
    ("bytes-0", "u8_0"),
    ("bytes-63", "u8_63"),
    ("bytes-512", "u8_512"),
    ("bytes-513", "u8_513"),
    ("bytes-4096", "u8_4096"),
    ("node-buffer-0", "buffer_0"),
    ("node-buffer-512", "buffer_512"),
    ("node-buffer-513", "buffer_513"),
    ("array-buffer-0", "arraybuffer_0"),
    ("array-buffer-512", "arraybuffer_512"),
    ("array-buffer-513", "arraybuffer_513"),
    ("data-view-0", "dataview_0"),
    ("data-view-512", "dataview_512"),
    ("data-view-513", "dataview_513"),
    ("i32-array-none", "i32_0"),
    ("i32-array-inline-longest", "i32_128"),
    ("i32-array-arena-shortest", "i32_129"),
    ("i64-array-none", "i64_0"),
    ("i64-array-inline-longest", "i64_64"),
    ("i64-array-arena-shortest", "i64_65"),
    ("u64-array-none", "u64_0"),
    ("u64-array-inline-longest", "u64_64"),
    ("u64-array-arena-shortest", "u64_65"),
    ("f64-array-none", "f64_0"),
    ("f64-array-inline-longest", "f64_64"),
    ("f64-array-arena-shortest", "f64_65"),
    ("numbers-array-none", "numericarray_0"),
    ("numbers-array-inline-longest", "numericarray_64"),
    ("numbers-array-arena-shortest", "numericarray_65"),
    ("error-with-stack", "error_plain"),
    ("error-without-stack", "error_no_stack"),
    ("error-class", "error_custom_class_fields_lost"),
    ("error-unicode", "error_unicode"),
    ("error-cause-number", "error_cause_number"),
    ("error-cause-string", "error_cause_symbol"),
    ("error-cause-object", "error_cause_object"),
    ("envelope-json-small", "env_json_small_body"),
    ("envelope-json-null", "env_json_null_header"),
    ("envelope-json-608-and-1000", "env_dynamic_header_json"),
    ("envelope-text-small", "env_string_header"),
    ("envelope-text-512", "env_string_header_max_512"),
    ("envelope-text-513", "env_string_header_over_513"),
    ("envelope-json-external-buffer", "env_external_psb_static"),
    ("envelope-json-external-arena-buffer", "env_external_psb_dynamic"),
    ("envelope-text-external-buffer", "env_external_psb_static_string"),
    ("envelope-text-external-arena-buffer", "env_external_psb_dynamic_string"),
    ("external-named-buffer", "psb_named_static_json"),
    ("external-long", "external_dynamic"),
    ("shared-buffer-example", "psb_numeric"),
    ("shared-buffer-bun", "psb_numeric_bun"),
    ("shared-buffer-whole", "psb_process_boundary"),
];

/// The recorded entries; `None`, after a line that says so, where they are not at hand.
pub fn recorded() -> Option<BTreeMap<String, Json>> {
    if !Path::new(FILE).exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{FILE} is missing");
        println!("skipped: {FILE} is missing");
        return None;
    }
    let file: Json = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let entries = file["entries"].as_array().unwrap();
    Some(entries.iter().map(|entry| (text(entry, "id").into(), entry.clone())).collect())
}

/// The vector and the recording have the same words and bytes.
pub fn hold_recorded(file: &File, entry: &Json) {
    let message = Message::of_file(&file.json);
    for index in entry["significant_words"].as_array().unwrap() {
        let index = usize::try_from(index.as_u64().unwrap()).unwrap();
        // Word 6 is the block, which is 0 in vectors and recordings.
        let word = message.words.get(index - 2).copied().unwrap_or(0);
        assert_eq!(Some(u64::from(word)), entry["words"][index].as_u64(), "word {index}");
    }
    for (bytes, part) in [(&message.inline, "static"), (&message.arena, "dynamic")] {
        let part = &entry[part];
        if part.is_null() {
            assert!(bytes.is_empty());
            continue;
        }
        assert_eq!(Some(bytes.len() as u64), part["len"].as_u64());
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(whole) = part["hex"].as_str() {
            assert_eq!(hex, whole);
        } else {
            // Where a recording is long, its ends are given.
            assert!(hex.starts_with(part["head_hex"].as_str().unwrap()));
            assert!(hex.ends_with(part["tail_hex"].as_str().unwrap()));
        }
    }
}
