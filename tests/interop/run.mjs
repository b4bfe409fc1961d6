/**
 * Runs every vector of spec/vectors/{header,slot,payload,reject} against the implementation beside this file.
 * `node tests/interop/run.mjs --help`
 */
import { readFileSync, readdirSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { Refused, answeredCall, checkControl, checkWithdrawal, freeBlocks, freeSlots, parseControlMessage, pendingSlots } from "./checks.mjs";
import { decodeMessage, encodeValue } from "./codec.mjs";
import { encodeHeader, parseHeader } from "./header.mjs";
import { encodeSlot, parseSlot } from "./slot.mjs";

const HELP = `usage: node tests/interop/run.mjs [--help]

Reads every vector of spec/vectors/header, slot and payload, writes those that are canonical, and refuses those of
reject. Then changes vectors in memory and expects each change to be noticed. Prints a line for each kind and one for
each failure. The exit status is 1 when a vector fails, a change goes unnoticed, a folder is missing or empty, or
fewer than 80 reject vectors were run.`;

const FOLDERS = ["header", "slot", "payload", "reject"];
const LEAST_REJECTS = 80;
const VECTORS = new URL("../../spec/vectors/", import.meta.url);

// ------------------------------------------------------------------- notation of spec/vectors/README.md

const toHex = (bytes) => Buffer.from(bytes).toString("hex");
const fromHex = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const toMask = (word) => `0x${word.toString(16).padStart(8, "0")}`;

/** Members of an object, those named changed by `change`. */
function withMembers(object, names, change) {
  return { ...object, ...Object.fromEntries(names.map((name) => [name, change(object[name])])) };
}

const HEADER_MASKS = ["required", "optional"];
const HEADER_U64S = ["creator_start", "creator_boot", "tasks"];
const MESSAGE_WORDS = ["word3", "word4", "word5"];
const MESSAGE_BYTES = ["inline", "arena"];

const readHeaderFields = (fields) => withMembers(withMembers(fields, HEADER_MASKS, Number), HEADER_U64S, BigInt);
const showHeaderFields = (fields) => withMembers(withMembers(fields, HEADER_MASKS, toMask), HEADER_U64S, String);
const readMessage = (message) => withMembers(withMembers(message, MESSAGE_WORDS, Number), MESSAGE_BYTES, fromHex);
const showMessage = (message) => withMembers(withMembers(message, MESSAGE_WORDS, toMask), MESSAGE_BYTES, toHex);
const readLine = (line) => withMembers(line, ["features"], Number);

// ------------------------------------------------------------------------------------------- questions

const parseHeaderOf = ({ bytes, reader, mapped }) =>
  parseHeader(fromHex(bytes), { ...reader.layout, features: Number(reader.features) }, mapped);
const parseSlotOf = ({ bytes, direction, limits }) => parseSlot(fromHex(bytes), direction, limits);
const decodeMessageOf = ({ message, limits }) => decodeMessage(readMessage(message), limits);

/** How vectors with a verdict are read and written: `read` and `write` give what the vector has under these names. */
const CODECS = {
  header: {
    read: (vector) => {
      const { fields, layout } = parseHeaderOf(vector);
      return { fields: showHeaderFields(fields), layout };
    },
    write: ({ fields }) => ({ bytes: toHex(encodeHeader(readHeaderFields(fields))) }),
  },
  slot: {
    read: (vector) => ({ header: parseSlotOf(vector) }),
    write: ({ header }) => ({ bytes: toHex(encodeSlot(header)) }),
  },
  payload: {
    read: (vector) => ({ value: decodeMessageOf(vector) }),
    write: ({ value, limits }) => ({ message: showMessage(encodeValue(value, limits)) }),
  },
};

/** What each kind of reject vector asks. */
const QUESTIONS = {
  header: parseHeaderOf,
  slot: parseSlotOf,
  payload: decodeMessageOf,
  receiver: (vector) => pendingSlots(withMembers(vector, ["publish", "taken", "released"], Number)),
  sender: (vector) => freeSlots(withMembers(vector, ["release", "seen", "mine"], Number)),
  arena: (vector) => freeBlocks(withMembers(vector, ["free", "seen", "mine"], Number)),
  control: (vector) => {
    const masks = vector.supported === undefined ? HEADER_MASKS : [...HEADER_MASKS, "supported"];
    checkControl(withMembers(vector, masks, Number), [...vector.observed, vector.line].map(readLine), vector.request);
  },
  channel: ({ bytes, descriptors }) => parseControlMessage(fromHex(bytes), descriptors),
  answer: ({ in_flight, call }) => answeredCall(in_flight, call),
  withdrawal: (vector) => checkWithdrawal(withMembers(vector, ["withdrawn", "not_begun"], Number)),
};

// --------------------------------------------------------------------------------------------- verdicts

/** @typedef {{action: string, expected: unknown, got: unknown}} Difference */

/** What `run` gives, or the refusal that it throws. */
function outcome(run) {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { error: error.name, clause: error.clause };
  }
}

/** The outcome, or the fault of the implementation that prevented one. */
function attempt(run) {
  try {
    return outcome(run);
  } catch (fault) {
    return { fault: String(fault) };
  }
}

const pick = (vector, names) => Object.fromEntries(names.map((name) => [name, vector[name]]));

/** What is wrong with a vector, or with how it is read and written. @returns {Difference[]} */
function differences(folder, vector) {
  const compare = (action, expected, run) => ({ action, expected, got: attempt(run) });
  const comparisons = [];
  if (folder === "reject") {
    comparisons.push(compare("refuse", pick(vector, ["error", "clause"]), () => QUESTIONS[vector.kind](vector)));
  } else {
    const { read, write } = CODECS[folder];
    const parts = { header: ["fields", "layout"], slot: ["header"], payload: ["value"] }[folder];
    const written = pick(vector, [folder === "payload" ? "message" : "bytes"]);
    comparisons.push(compare("read", pick(vector, parts), () => read(vector)));
    comparisons.push(
      vector.verdict === "canonical"
        ? compare("write", written, () => write(vector))
        : compare("write otherwise", true, () => !isDeepStrictEqual(outcome(() => write(vector)), written)),
    );
  }
  return comparisons.filter(({ expected, got }) => !isDeepStrictEqual(got, expected));
}

/** The vectors of a folder; a file that is no vector of that name counts as a problem. */
function load(folder) {
  const files = readdirSync(new URL(`${folder}/`, VECTORS)).filter((file) => file.endsWith(".json"));
  if (files.length === 0) throw new Error("the folder is empty");
  return files.sort().map((file) => {
    const vector = JSON.parse(readFileSync(new URL(`${folder}/${file}`, VECTORS), "utf8"));
    if (`${vector.name}.json` !== file) throw new Error(`${file} has the name ${vector.name}`);
    const isKnown = folder === "reject" ? vector.kind in QUESTIONS : ["canonical", "accepted"].includes(vector.verdict);
    if (!isKnown) throw new Error(`${file} has neither a known kind nor a known verdict`);
    return vector;
  });
}

function shorten(value) {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 300 ? `${text.slice(0, 300)}... (${text.length} characters)` : text;
}

const describe = ({ action, expected, got }) => `${action}: expected ${shorten(expected)}, got ${shorten(got)}`;

/** Runs vectors, prints a line for each kind and one for each failure. @returns {number} failures */
function runFolder(folder, vectors) {
  const counts = new Map();
  for (const vector of vectors) {
    const kind = folder === "reject" ? `reject/${vector.kind}` : folder;
    const count = counts.get(kind) ?? { vectors: 0, canonical: 0, failures: [] };
    counts.set(kind, count);
    count.vectors++;
    if (vector.verdict === "canonical") count.canonical++;
    const problems = differences(folder, vector).map(describe);
    if (problems.length > 0) count.failures.push(`${folder}/${vector.name}: ${problems.join("; ")}`);
  }
  for (const [kind, { vectors: run, canonical, failures }] of [...counts].sort()) {
    const directions = folder === "reject" ? "refused" : `read, ${canonical} of them written`;
    console.log(`${kind}: ${run - failures.length} of ${run} vectors pass (${directions})`);
    for (const failure of failures) console.log(`  FAILED ${failure}`);
  }
  return [...counts.values()].reduce((sum, { failures }) => sum + failures.length, 0);
}

// ------------------------------------------------------------------------------------------- self-check

/** Hex with bit 0 of one byte flipped; a negative place counts from the end. */
function flip(hex, place) {
  const bytes = fromHex(hex);
  bytes[place < 0 ? bytes.length + place : place] ^= 1;
  return toHex(bytes);
}

const flipBytes = (place) => (vector) => ({ ...vector, bytes: flip(vector.bytes, place) });
const ifCanonical = (change) => (vector) => (vector.verdict === "canonical" ? change(vector) : undefined);
const otherVerdict = ({ verdict, ...vector }) =>
  ({ ...vector, verdict: verdict === "canonical" ? "accepted" : "canonical" });

/** A message with another last byte; undefined where it has no bytes. */
function flipMessage({ message, ...vector }) {
  const part = MESSAGE_BYTES.find((name) => message[name] !== "");
  return part && { ...vector, message: { ...message, [part]: flip(message[part], -1) } };
}

/** Input of each reject kind that is fine. */
function acceptable(vector, samples) {
  const features = vector.side === "host" ? vector.required : "0x00000000";
  return {
    header: samples.header,
    slot: samples.slot,
    payload: samples.payload,
    receiver: { publish: "0x00000001", taken: "0x00000000", released: "0x00000000" },
    sender: { release: "0x00000001", seen: "0x00000000", mine: "0x00000001" },
    arena: { free: "0x00000001", seen: "0x00000000", mine: "0x00000001" },
    control: { observed: [], line: { state: 1, epoch: vector.epoch, features }, request: false },
    channel: { bytes: "01000000010000000700000000100000", descriptors: 1 },
    answer: { in_flight: [vector.call] },
    withdrawal: { withdrawn: "0xffffffff", not_begun: "0x00000000" },
  }[vector.kind];
}

/** Changes that must not go unnoticed, by folder. A change that does not fit a vector gives undefined. */
const CHANGES = {
  header: {
    "another epoch": flipBytes(40),
    "a reserved byte that is not zero": ifCanonical(flipBytes(240)),
    "another length of the file": (vector) => ({ ...vector, mapped: vector.mapped + 64 }),
    "other fields": (vector) => ({ ...vector, fields: { ...vector.fields, tasks: `${vector.fields.tasks}1` } }),
    "another layout": (vector) => ({ ...vector, layout: { ...vector.layout, signals: { at: 0, bytes: 192 } } }),
    "the other verdict": otherVerdict,
  },
  slot: {
    "another call id": flipBytes(4),
    "a stamp": ifCanonical(flipBytes(60)),
    "another header": (vector) => ({ ...vector, header: { ...vector.header, tag: vector.header.tag + 1 } }),
    "the other verdict": otherVerdict,
  },
  payload: {
    "another byte": ifCanonical(flipMessage),
    "another length": ifCanonical(({ message, ...vector }) =>
      ({ ...vector, message: { ...message, word5: toMask(Number(message.word5) + 1) } })),
    "another value": (vector) => ({ ...vector, value: { type: "symbol", key: "no value of a vector" } }),
    "the other verdict": otherVerdict,
  },
  reject: {
    "another error": (vector) => ({ ...vector, error: "no_error" }),
    "another clause": (vector) => ({ ...vector, clause: "none" }),
    "input that is fine": (vector, samples) => ({ ...vector, ...acceptable(vector, samples) }),
  },
};

/** Changes every vector in every way and expects each change to be noticed. @returns {number} failures */
function selfCheck(vectors) {
  const samples = {
    header: pick(vectors.header[0], ["reader", "mapped", "bytes"]),
    slot: pick(vectors.slot[0], ["direction", "limits", "bytes"]),
    payload: pick(vectors.payload[0], ["limits", "message"]),
  };
  const changes = FOLDERS.flatMap((folder) =>
    Object.entries(CHANGES[folder]).map(([what, change]) => {
      const changed = vectors[folder].map((vector) => change(vector, samples)).filter(Boolean);
      const unnoticed = changed.filter((vector) => differences(folder, vector).length === 0);
      return { what: `${folder}, ${what}`, made: changed.length, unnoticed };
    }));
  const made = changes.reduce((sum, change) => sum + change.made, 0);
  const failed = changes.filter((change) => change.made === 0 || change.unnoticed.length > 0);
  console.log(`self-check: ${changes.length - failed.length} of ${changes.length} ways to break a vector are noticed ` +
    `(${made} changed vectors)`);
  for (const { what, unnoticed } of failed) {
    const names = unnoticed.slice(0, 5).map(({ name }) => name).join(", ");
    console.log(`  FAILED ${what}: ${names === "" ? "fits no vector" : `not noticed in ${names}`}`);
  }
  return failed.length;
}

// ------------------------------------------------------------------------------------------------- main

function main() {
  const vectors = {};
  let failures = 0;
  for (const folder of FOLDERS) {
    try {
      vectors[folder] = load(folder);
      failures += runFolder(folder, vectors[folder]);
    } catch (error) {
      console.log(`${folder}: FAILED ${error.message}`);
      failures++;
    }
  }
  const rejects = vectors.reject?.length ?? 0;
  if (rejects < LEAST_REJECTS) {
    console.log(`reject: FAILED only ${rejects} vectors, at least ${LEAST_REJECTS} are needed`);
    failures++;
  }
  if (FOLDERS.every((folder) => vectors[folder] !== undefined)) failures += selfCheck(vectors);
  console.log(failures === 0 ? "all passed" : `${failures} failures`);
  return failures === 0 ? 0 : 1;
}

if (process.argv.length > 2) {
  const isHelp = process.argv.length === 3 && process.argv[2] === "--help";
  (isHelp ? console.log : console.error)(HELP);
  process.exitCode = isHelp ? 0 : 1;
} else {
  process.exitCode = main();
}
