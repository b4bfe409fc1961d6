/**
 * knit wire format 1.0: the segment header, written and read. Clean-room implementation: written from spec/*.md,
 * spec/vectors/README.md and spec/generated/knit_layout.mjs alone, without reading the Rust code.
 *
 * Author's section, clauses that this file was written from:
 *   segment  SEG-1 to SEG-8, SEG-10 to SEG-18, SEG-20 to SEG-22, SEG-25, SEG-30 (tables "Geometry", "Attaching")
 */
import {
  ARENA_DATA_AT, ARENA_GRANULE, BYTE_ORDER_MARK, EXTENSION_AT, HEADER_BYTES, INLINE_BYTES, LaneKind, MAGIC,
  MAX_ABORT_CAPACITY, MAX_ARENA_BYTES, MAX_EXTENSION_BYTES, MIN_ARENA_BYTES, MIN_EXTENSION_BYTES, PAGE_BYTES, READY_BIT,
  REGION_ALIGN, SLOTS, SLOT_STRIDE, header as at, sizes,
} from "../../spec/generated/knit_layout.mjs";
import { check } from "./checks.mjs";

/** Words that every creator writes alike. SEG-1, SEG-2, SEG-21. */
const MARKS = { magic: MAGIC, byte_order: BYTE_ORDER_MARK };
const SIZES = {
  header_bytes: HEADER_BYTES, page_bytes: PAGE_BYTES,
  slots: SLOTS, slot_stride: SLOT_STRIDE, inline_bytes: INLINE_BYTES,
};
const WORDS = [
  "major", "minor", "required", "optional", "epoch", "creator_pid", "lane_kind", "abort_capacity",
  "extension_bytes", "request_arena_bytes", "response_arena_bytes", "request_reserved", "response_reserved",
];
const DOUBLE_WORDS = ["creator_start", "creator_boot", "tasks"];

/**
 * @typedef {Record<string, number | bigint>} HeaderFields the words above; BigInts where they are double
 * @typedef {Record<string, {at: number, bytes: number}>} Layout start and length of segment, extension and regions
 */

/** Where everything is. SEG-5. @param {HeaderFields} fields @returns {Layout} */
export function geometry({ abort_capacity, extension_bytes, request_arena_bytes, response_arena_bytes }) {
  const lengths = {
    signals: sizes.signals, request_sector: sizes.sector, response_sector: sizes.sector,
    request_slots: SLOTS * SLOT_STRIDE, response_slots: SLOTS * SLOT_STRIDE,
    abort_bits: Math.ceil(abort_capacity / 32) * 4,
    request_arena: request_arena_bytes, response_arena: response_arena_bytes,
  };
  const start = EXTENSION_AT + extension_bytes;
  const regions = {};
  let end = start;
  for (const [name, bytes] of Object.entries(lengths)) {
    regions[name] = { at: end, bytes };
    end += Math.ceil(bytes / REGION_ALIGN) * REGION_ALIGN;
  }
  return {
    segment: { at: 0, bytes: end }, extension: { at: EXTENSION_AT, bytes: extension_bytes },
    lane_block: { at: start, bytes: end - start }, ...regions,
  };
}

const within = (length, unit, least, most) => length % unit === 0 && length >= least && length <= most;
/** SEG-3. */
const reads = (reader, { major, minor }) => major === reader.major && (major !== 0 || minor === reader.minor);
/** SEG-6. */
const readyWord = ({ major, minor }) => READY_BIT + (major % 0x8000) * 0x10000 + minor;

/** The 256 bytes of a header. Refuses fields that no creator may write. @param {HeaderFields} fields */
export function encodeHeader(fields) {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const put = (name, value) => view.setUint32(at[name], value, true);
  const { segment, ...regions } = geometry(fields);
  for (const name of WORDS) put(name, fields[name]);
  for (const [name, value] of Object.entries({ ...MARKS, ...SIZES, ready: readyWord(fields) })) put(name, value);
  for (const name of DOUBLE_WORDS) view.setBigUint64(at[name], fields[name], true);
  for (const [name, region] of Object.entries(regions)) {
    put(`${name}_at`, region.at);
    put(`${name}_bytes`, region.bytes);
  }
  view.setBigUint64(at.segment_bytes, BigInt(segment.bytes), true);
  parseHeader(bytes, { ...fields, features: fields.required }, segment.bytes);
  return bytes;
}

/**
 * May this reader attach? The checks stand in the order of the table "Attaching"; the first that fails throws.
 * @param {Uint8Array} bytes
 * @param {{major: number, minor: number, features: number}} reader version and features that the reader knows
 * @param {number} mapped length of the segment according to the operating system
 * @returns {{fields: HeaderFields, layout: Layout}}
 */
export function parseHeader(bytes, reader, mapped) {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  const word = (name) => view.getUint32(at[name], true);
  const fields = Object.fromEntries([
    ...WORDS.map((name) => [name, word(name)]),
    ...DOUBLE_WORDS.map((name) => [name, view.getBigUint64(at[name], true)]),
  ]);

  check(word("ready") !== 0, "not_ready");
  check(word("magic") === MARKS.magic, "magic");
  check(word("byte_order") === MARKS.byte_order, "byte_order");
  check(fields.major < 0x10000 && fields.minor < 0x10000, "version_range");
  check(reads(reader, fields), "version");
  check(word("ready") === readyWord(fields), "ready_word");
  for (const [name, value] of Object.entries(SIZES)) check(word(name) === value, "fixed_field");
  check((fields.required & ~reader.features) === 0, "required_features");
  check(fields.epoch !== 0, "epoch");
  check(Object.values(LaneKind).includes(fields.lane_kind), "lane_kind");
  check(within(fields.extension_bytes, PAGE_BYTES, MIN_EXTENSION_BYTES, MAX_EXTENSION_BYTES), "extension_length");
  for (const name of ["request_arena_bytes", "response_arena_bytes"]) {
    check(within(fields[name], ARENA_GRANULE, MIN_ARENA_BYTES, MAX_ARENA_BYTES), "arena_length");
  }
  check(fields.abort_capacity <= MAX_ABORT_CAPACITY, "abort_capacity");
  const { segment, ...regions } = geometry(fields);
  for (const [name, { at: start, bytes: length }] of Object.entries(regions)) {
    check(word(`${name}_at`) === start && word(`${name}_bytes`) === length, "region");
  }
  const stated = view.getBigUint64(at.segment_bytes, true);
  check(stated === BigInt(segment.bytes) && mapped === segment.bytes, "segment_length");
  for (const side of ["request", "response"]) {
    const most = fields[`${side}_arena_bytes`] - ARENA_DATA_AT;
    check(within(fields[`${side}_reserved`], ARENA_GRANULE, 0, most), "reserved_bytes");
  }
  return { fields, layout: { segment, ...regions } };
}
