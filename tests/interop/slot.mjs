/**
 * knit wire format 1.0: the header line of a slot, written and read. Clean-room implementation: written from
 * spec/*.md, spec/vectors/README.md and spec/generated/knit_layout.mjs alone, without reading the Rust code.
 *
 * Author's section, clauses that this file was written from:
 *   mailbox   MBX-4, MBX-5, MBX-6, MBX-16, MBX-17 (table "Slot")
 *   arena     ARN-1, ARN-2, ARN-3
 *   payloads  PAY-1 to PAY-5, PAY-24 ("Reading a message", steps 1 to 5; table "Forms")
 *   lanes     LANE-17
 */
import {
  ARENA_GRANULE, Form, HEADER_LINE_AT, INLINE_BYTES, SLOT_HEADER_WORDS, SLOT_STRIDE, bits, tagForm,
} from "../../spec/generated/knit_layout.mjs";
import { check } from "./checks.mjs";

const field = (word, { shift, mask }) => (word & mask) >>> shift;
const hexWord = (word) => word.toString(16).padStart(8, "0");

/**
 * What a header line says, with the members that spec/vectors/README.md lists for the direction and the form.
 * @typedef {{call: number, tag: number, form: string} & Record<string, number | string | boolean | null>} SlotHeader
 */

/** The 64 bytes of a header line whose slot has no stamp yet. @param {SlotHeader} header @returns {Uint8Array} */
export function encodeSlot(header) {
  const bytes = new Uint8Array(SLOT_STRIDE - HEADER_LINE_AT);
  const words = [firstWord(header), header.call, header.tag, ...placeWords(header)];
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(4 * i, word, true));
  return bytes;
}

function firstWord(header) {
  if ("rejected" in header) return header.rejected ? 1 : 0;
  return header.function + (header.abort === null ? 0 : header.abort + 1) * 0x10000;
}

function placeWords({ scalar, len, block = 0, start = 0, head = 0, body = 0 }) {
  if (scalar !== undefined) return [parseInt(scalar.slice(8), 16), parseInt(scalar.slice(0, 8), 16)];
  return [start, body, len ?? head, block];
}

/**
 * May this receiver read the message? The checks are the reading steps 2 to 5; the first that fails throws.
 * @param {Uint8Array} bytes the 64 bytes of the header line
 * @param {"request" | "response"} direction
 * @param {{arena_bytes: number, max_payload: number, abort_capacity: number}} limits
 * @returns {SlotHeader}
 */
export function parseSlot(bytes, direction, limits) {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  const words = Array.from({ length: SLOT_HEADER_WORDS }, (_, i) => view.getUint32(4 * i, true));
  const [word0, call, tag, ...place] = words;
  const purpose = direction === "request" ? requestOf(word0, limits) : answerOf(word0);
  return { ...purpose, call, tag, ...parsePlace(tag, place, limits) };
}

function requestOf(word0, limits) {
  const signal = field(word0, bits.slot.word0.abort);
  check(signal <= limits.abort_capacity, "abort_signal");
  return { function: field(word0, bits.slot.word0.function), abort: signal === 0 ? null : signal - 1 };
}

function answerOf(word0) {
  check(word0 <= 1, "answer_flags");
  return { rejected: word0 === 1 };
}

/**
 * Where the bytes of a payload are: the reading steps 3 to 5.
 * @param {number} tag @param {number[]} words words 3 to 6 @param {{arena_bytes: number, max_payload: number}} limits
 */
export function parsePlace(tag, [word3, word4, word5, word6], limits) {
  const form = tagForm[tag];
  check(form !== undefined, "unassigned_tag");
  check(form !== Form.LOCAL, "local_tag");
  if (form === Form.INLINE || form === Form.INLINE_HEAD) check(word5 <= INLINE_BYTES, "inline_length");
  const inArena = (length) => {
    check(length <= limits.max_payload, "payload_length");
    check(word3 % ARENA_GRANULE === 0, "arena_alignment");
    check(word3 + length <= limits.arena_bytes, "arena_bounds");
    return { start: word3, block: field(word6, bits.slot.block.index) };
  };
  switch (form) {
    case Form.SCALAR: return { form, scalar: hexWord(word4) + hexWord(word3) };
    case Form.INLINE: return { form, len: word5 };
    case Form.ARENA: return { form, len: word5, ...inArena(word5) };
    case Form.INLINE_HEAD: return { form, head: word5, body: word4, ...inArena(word4) };
    case Form.ARENA_HEAD: return { form, head: word5, body: word4, ...inArena(word4 + word5) };
    default: return { form };
  }
}
