/**
 * knit wire format 1.0: refusals, and checks of words that a peer may have written. Clean-room implementation: written
 * from spec/*.md, spec/vectors/README.md and spec/generated/knit_layout.mjs alone, without reading the Rust code.
 *
 * Author's section, clauses that this file was written from:
 *   mailbox  MBX-1, MBX-3, MBX-7, MBX-8 (table "Checks")
 *   arena    ARN-4 ("Live and free")
 *   segment  SEG-9
 *   lanes    LANE-2, LANE-3, LANE-4, LANE-9, LANE-11, LANE-12 (table "Negotiation")
 */
import { LaneState, errors } from "../../spec/generated/knit_layout.mjs";

const clauses = new Map(errors.map(({ name, clause }) => [name, clause]));

/** Input that the specification refuses: `name` is an error of layout.toml, `clause` the one that was broken. */
export class Refused extends Error {
  /** @param {string} name @param {string} [clause] given for refusals that layout.toml does not list */
  constructor(name, clause = clauses.get(name)) {
    super(`${name} (${clause})`);
    this.name = name;
    this.clause = clause;
  }
}

/** Throws `Refused(name)` unless `ok`. @param {boolean} ok @param {string} name */
export function check(ok, name) {
  if (!ok) throw new Refused(name);
}

/** Which slots are pending? @param {{publish: number, taken: number, released: number}} words @returns {number} */
export function pendingSlots({ publish, taken, released }) {
  const pending = publish ^ taken;
  check((pending & (taken ^ released)) === 0, "republished");
  return pending >>> 0;
}

/** Which slots are free? @param {{release: number, seen: number, mine: number}} words @returns {number} */
export const freeSlots = ({ release, seen, mine }) => unused(release, seen, mine, "released_free");

/** Which blocks are free? @param {{free: number, seen: number, mine: number}} words @returns {number} */
export const freeBlocks = ({ free, seen, mine }) => unused(free, seen, mine, "freed_dead");

function unused(loaded, seen, mine, violation) {
  check(((loaded ^ seen) & ~(mine ^ seen)) === 0, violation);
  return ~(mine ^ loaded) >>> 0;
}

/**
 * @typedef {{state: number, epoch: number, features: number}} ControlLine as one side loads it
 * @typedef {{side: "host" | "worker", required: number, optional: number, supported?: number, epoch: number,
 *   closing: boolean}} Side what the side that looks knows; `supported` is of a worker
 */

/**
 * May the lane go on? Looks at control lines of the other side, in the order in which they were loaded.
 * @param {Side} side @param {ControlLine[]} lines
 * @param {boolean} request whether the last line is looked at because a request was taken
 */
export function checkControl(side, lines, request) {
  const isHost = side.side === "host";
  const seen = { state: LaneState.ABSENT, features: undefined };
  for (const line of lines) {
    check(Object.values(LaneState).includes(line.state) && line.state >= seen.state, "state");
    check(isHost ? line.state !== LaneState.CLOSING || side.closing : line.state !== LaneState.ABSENT, "state");
    seen.state = line.state;
    if (line.state === LaneState.ABSENT) continue;
    check(line.epoch === side.epoch, "epoch_mismatch");
    seen.features = isHost ? acceptance(side, seen, line) : lock(side, seen, line, request && line === lines.at(-1));
  }
}

/** The host's steps 5 and 6. */
function acceptance({ required, optional }, seen, { features }) {
  const isOffered = (features & ~(required | optional)) === 0 && (required & ~features) === 0;
  check(seen.features !== undefined || isOffered, "features");
  check(features === (seen.features ?? features), "features_changed");
  return features;
}

/** The worker's steps 6 and 7. */
function lock({ required, optional, supported }, seen, { features }, request) {
  const accepted = ((required | optional) & supported) >>> 0;
  check(features === accepted || (features === 0 && seen.features === undefined), "features_changed");
  check(features === accepted || !request, "not_locked");
  return features === accepted ? features : undefined;
}

/** Number of descriptors of each kind of message of the control channel. */
const CONTROL_DESCRIPTORS = { 1: 1, 2: 0 };

/** What does a packet of the control channel say? @param {Uint8Array} packet @param {number} descriptors */
export function parseControlMessage(packet, descriptors) {
  check(packet.length === 16, "control_channel");
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const [version, kind, number, value] = [0, 4, 8, 12].map((at) => view.getUint32(at, true));
  check(version === 1, "control_channel");
  check(CONTROL_DESCRIPTORS[kind] === descriptors, "control_channel");
  return { kind, number, value };
}

/** Whose answer is it? @param {number[]} inFlight @param {number} call @returns {number} its place in flight */
export function answeredCall(inFlight, call) {
  check(inFlight.includes(call), "unknown_call");
  return inFlight.indexOf(call);
}

/**
 * May the answer to a call in flight have this word 0? `withdrawn` is the host's withdrawn word, `not_begun` those of its calls that the
 * host has found not begun.
 * @param {{ withdrawn: number, not_begun: number, call: number, word0: number }} answer
 */
export function checkWithdrawal({ withdrawn, not_begun, call, word0 }) {
  const has = (/** @type {number} */ places) => (places >>> call % 32 & 1) === 1;
  check(word0 === 2 ? has(withdrawn) : !has(not_begun), "withdrawn");
}
