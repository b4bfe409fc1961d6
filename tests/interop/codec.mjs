/**
 * knit wire format 1.0: values to messages and back. Clean-room implementation: written from spec/*.md,
 * spec/vectors/README.md and spec/generated/knit_layout.mjs alone, without reading the Rust code.
 *
 * Author's section, clauses that this file was written from:
 *   mailbox   MBX-6
 *   payloads  PAY-2, PAY-4 to PAY-28 without the resolving steps of PAY-22 ("Reading a message", steps 3 to 8;
 *             tables "Choice of form", "Tags"; counting, writing and decoding steps)
 *
 * Values are in the notation of spec/vectors/README.md. A *message* is `{tag, word3, word4, word5, inline, arena}`
 * with `inline` and `arena` as Uint8Array; arena bytes stand at offset 0 of block 0.
 * @typedef {{max_payload: number, max_depth: number, max_causes: number, max_text?: number, max_elements?: number,
 *   max_limbs?: number, max_fields?: number}} Limits
 */
import * as spec from "../../spec/generated/knit_layout.mjs";
import { Refused, check } from "./checks.mjs";
import { parsePlace } from "./slot.mjs";

const { Form, Tag } = spec;
const NAN_BITS = "7ff8000000000000";
const EMPTY = { word3: 0, word4: 0, word5: 0, inline: new Uint8Array(0), arena: new Uint8Array(0) };
const ERROR_MEMBERS = ["name", "message", "stack", "cause"];
const SHARED_BUFFER_CODEC = "knitting.processSharedBuffer";
const RESERVED_CODECS = [SHARED_BUFFER_CODEC, "knitting.bufferReference", "knitting.sharedArrayBuffer"];

const fromHex = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const toHex = (bytes) => Buffer.from(bytes).toString("hex");
const hex64 = (bits) => BigInt.asUintN(64, bits).toString(16).padStart(16, "0");
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const sameFor = (types, make) => Object.fromEntries(types.map((type) => [type, make(type)]));

/** There is one NaN. PAY-10, PAY-15, PAY-18. */
const oneNaN = (bits) => (BigInt.asUintN(63, BigInt(`0x${bits}`)) > 0x7ff0000000000000n ? NAN_BITS : bits);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const decodeText = (bytes) => readText("utf8", () => utf8.decode(bytes));
/** Text within the limit of texts. */
const boundedText = (bytes, limits) => {
  check(bytes.length <= (limits.max_text ?? Infinity), "too_long");
  return decodeText(bytes);
};
const toUtf8 = (text) => new TextEncoder().encode(text);

/** The result of `read`; what it throws becomes `Refused(name)`. */
function readText(name, read) {
  try {
    return read();
  } catch {
    throw new Refused(name);
  }
}

/** One JSON document, not too deep: PAY-14 before PAY-13. */
function checkJson(text, limits) {
  checkDepth(text, limits.max_depth);
  readText("json", () => JSON.parse(text));
  return text;
}
const decodeJson = (bytes, limits) => checkJson(boundedText(bytes, limits), limits);

/** The counting steps of PAY-14. */
function checkDepth(text, limit) {
  let level = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') inString = !inString;
    else if (inString) i += c === "\\" ? 1 : 0;
    else if (c === "[" || c === "{") check(++level <= limit, "nesting");
    else if (c === "]" || c === "}") level = Math.max(level - 1, 0);
  }
}

function endOfString(text, i) {
  for (i++; text[i] !== '"'; i++) if (text[i] === "\\") i++;
  return i + 1;
}

/** What stands between the commas of an object or array, as it stands there. The text must be valid JSON. */
function itemsOf(text) {
  const items = [];
  for (let i = 1, start = 1, level = 1; level > 0; i = text[i] === '"' ? endOfString(text, i) : i + 1) {
    if (text[i] === "[" || text[i] === "{") level++;
    if (text[i] === "]" || text[i] === "}") level--;
    if (level === 0 || (level === 1 && text[i] === ",")) {
      items.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  return items[0] === "" ? [] : items;
}

/** How many fields stand in the text of an error, equal names counted each. */
const countFields = (json) => itemsOf(json).filter((item) => !ERROR_MEMBERS.includes(memberOf(item)[0])).length;

function memberOf(item) {
  const end = endOfString(item, 0);
  return [JSON.parse(item.slice(0, end)).toWellFormed(), item.slice(item.indexOf(":", end) + 1).trim()];
}

/** The members of an object, the last of equal names; else undefined. */
const membersOf = (json) => (json[0] === "{" ? new Map(itemsOf(json).map(memberOf)) : undefined);

/** The string that a piece of JSON text is, without unpaired surrogates; else undefined. */
const stringOf = (json) => (json?.startsWith('"') ? JSON.parse(json).toWellFormed() : undefined);

/**
 * What is the value? Reading step 9. The limits are the receiver's own, so no payload is a violation by its length.
 * @param {object} message @param {Limits} limits @returns {object} a value
 */
export function decodeMessage(message, limits) {
  const lane = { arena_bytes: message.arena.length, max_payload: Infinity };
  const place = parsePlace(message.tag, [message.word3, message.word4, message.word5, 0], lane);
  const parts = copyParts(place, message);
  check(parts.reduce((sum, part) => sum + part.length, 0) <= limits.max_payload, "too_long");
  const type = spec.tagKind[message.tag];
  return { type, ...DECODERS[type](parts, limits, message.tag, place.scalar) };
}

function copyParts({ form, start, len, head, body }, { inline, arena }) {
  switch (form) {
    case Form.INLINE: return [inline.slice(0, len)];
    case Form.ARENA: return [arena.slice(start, start + len)];
    case Form.INLINE_HEAD: return [inline.slice(0, head), arena.slice(start, start + body)];
    case Form.ARENA_HEAD: return [arena.slice(start, start + head), arena.slice(start + head, start + head + body)];
    default: return [];
  }
}

/** How an element stands in the bytes, `type` as in the methods of a DataView, and in the notation of values. */
const element = (size, type, read, write) => ({
  size,
  get: (view, at) => read(view[`get${type}`](at, true)),
  set: (view, at, value) => view[`set${type}`](at, write(value), true),
});
const F64 = element(8, "BigUint64", (bits) => oneNaN(hex64(bits)), (bits) => BigInt(`0x${oneNaN(bits)}`));
const WORD = element(4, "Uint32", Number, Number);
/** PAY-15. */
const ELEMENTS = {
  i32_array: element(4, "Int32", Number, Number),
  i64_array: element(8, "BigInt64", String, BigInt),
  u64_array: element(8, "BigUint64", String, BigInt),
  f64_array: F64,
  numbers: F64,
};
const BYTES = ["bytes", "array_buffer", "node_buffer", "data_view"];

const DECODERS = {
  ...sameFor(["undefined", "null"], () => () => ({})),
  boolean: (_parts, _limits, tag) => ({ value: tag === Tag.TRUE }),
  number: (_parts, _limits, tag, scalar) => ({ bits: tag === Tag.NAN ? NAN_BITS : oneNaN(scalar) }),
  date: (_parts, _limits, _tag, scalar) => ({ bits: oneNaN(scalar) }),
  bigint: ([bytes], limits, tag, scalar) => ({
    value: String(tag === Tag.BIGINT_I64 ? BigInt.asIntN(64, BigInt(`0x${scalar}`)) : decodeBigint(bytes, limits)),
  }),
  string: ([bytes], limits) => ({ value: boundedText(bytes, limits) }),
  symbol: ([bytes], limits) => ({ key: boundedText(bytes, limits) }),
  json: ([bytes], limits) => ({ text: decodeJson(bytes, limits) }),
  ...sameFor(BYTES, () => ([bytes]) => ({ hex: toHex(bytes) })),
  ...sameFor(Object.keys(ELEMENTS), (type) => ([bytes], limits) => ({ values: decodeElements(ELEMENTS[type], bytes, limits) })),
  error: ([bytes], limits) => decodeError(checkJson(decodeText(bytes), limits), limits),
  external: ([bytes], limits) => decodeExternal(bytes, limits),
  envelope: decodeEnvelope,
  shared_buffer: ([bytes]) => {
    check(bytes.length === spec.SHARED_BUFFER_BYTES, "shared_buffer_length");
    return { words: decodeElements(WORD, bytes, {}) };
  },
};

/** PAY-12. */
function decodeBigint(bytes, limits) {
  check(Math.ceil((bytes.length - 1) / 8) <= (limits.max_limbs ?? Infinity), "too_long");
  check(bytes.length > 0 && bytes[0] <= 1, "bigint_sign");
  const magnitude = BigInt(`0x0${toHex(bytes.slice(1).reverse())}`);
  return bytes[0] === 1 ? -magnitude : magnitude;
}

function decodeElements({ size, get }, bytes, limits) {
  check(bytes.length / size <= (limits.max_elements ?? Infinity), "too_long");
  check(bytes.length % size === 0, "element_size");
  return Array.from({ length: bytes.length / size }, (_, i) => get(viewOf(bytes), i * size));
}

/** The decoding steps of PAY-16, from step 2; PAY-17. */
function decodeError(text, limits) {
  let json = text.trim();
  let members = membersOf(json);
  check(members !== undefined, "error_shape");
  const first = {};
  const most = limits.max_fields ?? Infinity;
  for (let current = first, count = 1, fieldCount = 0; ; count++) {
    current.name = stringOf(members.get("name")) ?? "Error";
    current.message = stringOf(members.get("message")) ?? "";
    if (stringOf(members.get("stack")) !== undefined) current.stack = stringOf(members.get("stack"));
    const fields = [...members].filter(([name]) => !ERROR_MEMBERS.includes(name));
    if (fields.length > 0) current.fields = fields.map(([name, json]) => ({ name, json }));
    fieldCount += countFields(json);
    check(fieldCount <= most, "too_long");
    const cause = members.get("cause");
    if (cause === undefined) return first;
    json = cause;
    members = membersOf(json);
    const isError = ["name", "message"].every((name) => stringOf(members?.get(name)) !== undefined);
    current.cause = isError ? { error: {} } : { json: cause };
    if (!isError) return first;
    check(count <= Math.min(limits.max_causes, spec.MAX_CAUSES), "cause_chain");
    current = current.cause.error;
  }
}

/** PAY-21. */
function decodeExternal(bytes, limits) {
  const text = decodeJson(bytes, limits).trim();
  const [id, metadata, ...others] = text[0] === "[" ? itemsOf(text) : [];
  const codec = stringOf(id);
  check(codec !== undefined && metadata !== undefined && others.length === 0, "external_shape");
  return { codec, metadata };
}

/** PAY-20. */
function decodeEnvelope([head, body], limits, tag) {
  const name = Object.keys(Tag).find((key) => Tag[key] === tag);
  return {
    header: name.includes("_JSON_") ? { json: decodeJson(head, limits) } : { text: boundedText(head, limits) },
    body: name.endsWith("_EXTERNAL") ? { external: decodeExternal(body, limits) } : { hex: toHex(body) },
  };
}

/**
 * The message that carries a value. Refuses what has no encoding within the limits with the codes of PAY-28 as names.
 * @param {object} value @param {Limits} limits @returns {object} a message
 */
export function encodeValue(value, limits) {
  try {
    check(Object.hasOwn(ENCODERS, value.type), "no_encoding");
    const message = { ...EMPTY, ...ENCODERS[value.type](value, limits) };
    check(message.inline.length + message.arena.length <= limits.max_payload, "too_long");
    return message;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new Refused(["json", "nesting"].includes(error.name) ? "KNT_ERROR_2" : "KNT_ERROR_3", "PAY-28");
  }
}

const scalar = (tag, bits) => ({ tag, word3: parseInt(bits.slice(8), 16), word4: parseInt(bits.slice(0, 8), 16) });
const inline = (tag, bytes) => ({ tag, word5: bytes.length, inline: bytes });
const inArena = (tag, bytes) => ({ tag, word5: bytes.length, arena: bytes });

/** A payload of one part, in the form that its measure asks for. PAY-7. */
function onePart(type, bytes, measure = bytes.length) {
  const name = type.toUpperCase();
  return measure <= spec.INLINE_BYTES ? inline(Tag[`${name}_INLINE`], bytes) : inArena(Tag[`${name}_ARENA`], bytes);
}

const ENCODERS = {
  undefined: () => ({ tag: Tag.UNDEFINED }),
  null: () => ({ tag: Tag.NULL }),
  boolean: ({ value }) => ({ tag: value ? Tag.TRUE : Tag.FALSE }),
  number: ({ bits }) => (oneNaN(bits) === NAN_BITS ? { tag: Tag.NAN } : scalar(Tag.NUMBER, bits)),
  date: ({ bits }) => scalar(Tag.DATE, oneNaN(bits)),
  bigint: ({ value }) => encodeBigint(BigInt(value)),
  string: ({ type, value }) => onePart(type, toUtf8(value)),
  symbol: ({ type, key }) => onePart(type, toUtf8(key), key.length * 3),
  json: ({ type, text }, limits) => onePart(type, toUtf8(checkJson(text, limits))),
  ...sameFor(BYTES, (type) => ({ hex }) => onePart(type, fromHex(hex))),
  ...sameFor(Object.keys(ELEMENTS), (type) => ({ values }) => onePart(type, encodeElements(ELEMENTS[type], values))),
  error: (value, limits) => inArena(Tag.ERROR, toUtf8(encodeError(value, limits))),
  external: (value, limits) => onePart(value.type, encodeExternal(value, limits)),
  envelope: encodeEnvelope,
  shared_buffer: ({ words }) => inline(Tag.SHARED_BUFFER, encodeElements(WORD, words)),
};

/** PAY-11, PAY-12. */
function encodeBigint(value) {
  if (BigInt.asIntN(64, value) === value) return scalar(Tag.BIGINT_I64, hex64(value));
  const digits = (value < 0n ? -value : value).toString(16);
  const magnitude = fromHex(digits.length % 2 === 0 ? digits : `0${digits}`).reverse();
  return onePart("bigint", Buffer.concat([Uint8Array.of(value < 0n ? 1 : 0), magnitude]));
}

function encodeElements({ size, set }, values) {
  const bytes = new Uint8Array(values.length * size);
  values.forEach((value, i) => set(viewOf(bytes), i * size, value));
  return bytes;
}

/** The writing rules of PAY-16. What the receiver would refuse is not sent. */
function encodeError(error, limits) {
  let text = "";
  let ends = "";
  for (let current = error; current !== undefined; current = current.cause?.error) {
    const { name, message, stack, cause, fields = [] } = current;
    text += JSON.stringify({ name, message, stack }).slice(0, -1);
    if (cause !== undefined) text += ',"cause":';
    if (cause?.json !== undefined) text += checkJson(cause.json, limits);
    check(!fields.some(({ name }) => ERROR_MEMBERS.includes(name)), "error_shape");
    const members = fields.map(({ name, json }) => `,${JSON.stringify(name)}:${checkJson(json, limits)}`);
    ends = `${members.join("")}}${ends}`;
  }
  text = checkJson(text + ends, limits);
  decodeError(text, limits);
  return text;
}

/** PAY-21. A shared buffer is external in the body of an envelope only. */
function encodeExternal({ codec, metadata }, limits, isBody = false) {
  check(!RESERVED_CODECS.includes(codec) || (isBody && codec === SHARED_BUFFER_CODEC), "external_shape");
  return toUtf8(checkJson(`[${JSON.stringify(codec)},${checkJson(metadata, limits)}]`, limits));
}

/** PAY-20. */
function encodeEnvelope({ header, body }, limits) {
  const isJson = header.json !== undefined;
  const head = toUtf8(isJson ? checkJson(header.json, limits) : header.text);
  const tail = body.external ? encodeExternal(body.external, limits, true) : fromHex(body.hex);
  const isInline = head.length <= spec.INLINE_BYTES;
  const parts = isInline ? { inline: head, arena: tail } : { arena: Buffer.concat([head, tail]) };
  const name = `ENVELOPE_${isJson ? "JSON" : "TEXT"}_${isInline ? "INLINE" : "ARENA"}`;
  return { tag: Tag[body.external ? `${name}_EXTERNAL` : name], word4: tail.length, word5: head.length, ...parts };
}
