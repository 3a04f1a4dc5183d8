/**
 * The authorization engine alone, for tests: loads `authorization` of a configuration, evaluates tokens and decides
 * on the request that its host holds. Inputs are in the memory that `allocate` returns; what comes out as text
 * is pointer and length in one number, as a Slice.
 */
import { allocate, reset } from "../../../assembly/memory/arena";
import { Region } from "../../../assembly/memory/region";
import { EMPTY, Slice, slice } from "../../../assembly/memory/slice";
import { Action, Decision, ruleSetOf } from "../../../assembly/authz/decision";
import { Engine } from "../../../assembly/authz/engine";
import { Reader } from "../../../assembly/document/reader";
import { JsonDocument } from "../../../assembly/encoding/json";
import { Request } from "../../../assembly/http/request";

const NO_CLAIMS = new StaticArray<Slice>(0);

const json = new JsonDocument();
const payload = new JsonDocument();
const request = new Request();
const decision = new Decision();

let engine: Engine | null = null;
let bits: StaticArray<u8> = [];
let tokenBits: usize = 0;
let directAddressProperty: Slice = EMPTY;
let directAddressText: ArrayBuffer = String.UTF8.encode("filter_state\0direct");
directAddressProperty = slice(changetype<usize>(directAddressText), directAddressText.byteLength);

/** Begins a callback: frees what was allocated before. */
export function begin(): void {
  reset();
}

export function malloc(size: usize): usize {
  return allocate(size);
}

/** @returns the fault, or 0 if the configuration was loaded */
export function load(text: usize, size: i32): Slice {
  engine = null;
  tokenBits = 0;
  if (!json.parse(slice(text, size))) return toSlice(json.errorMessage);
  const reader = new Reader(json, new Region());
  const loaded = Engine.load(reader, json.root);
  if (loaded === null) return toSlice(reader.error);
  engine = loaded;
  bits = new StaticArray<u8>(loaded.tokenPredicateBytes);
  return EMPTY;
}

/** The verified token from now on. @param text its payload, or 0 for no token */
export function token(text: usize, size: i32, spaceDelimited: usize, spaceDelimitedSize: i32): bool {
  const loaded = engine;
  tokenBits = 0;
  if (loaded === null || text == 0 || !payload.parse(slice(text, size))) return text == 0;
  const claims: StaticArray<Slice> =
    spaceDelimitedSize > 0 ? [slice(spaceDelimited, spaceDelimitedSize)] : NO_CLAIMS;
  tokenBits = changetype<usize>(bits);
  loaded.evaluateToken(payload, claims, tokenBits);
  return true;
}

/** Reads the request from the host. @returns whether it could */
export function readRequest(): bool {
  return request.read(directAddressProperty, EMPTY);
}

/** Decides on it `times` times. @returns 1 if it is refused, 0 if not, -1 if the host failed */
export function decide(times: i32): i32 {
  const loaded = engine;
  if (loaded === null) return -1;
  for (let i = 0; i < times; i++) loaded.decide(request, tokenBits, decision);
  return request.failed ? -1 : decision.refused ? 1 : 0;
}

/** Evaluates a token's payload `times` times. */
export function evaluateToken(times: i32): void {
  const loaded = engine;
  if (loaded === null) return;
  for (let i = 0; i < times; i++) loaded.evaluateToken(payload, NO_CLAIMS, changetype<usize>(bits));
}

export function ruleId(): Slice {
  return decision.ruleId;
}

/** @returns 0 if these rules were not asked, 1 if none matched, else the id of the first that did */
export function outcome(action: Action, shadow: bool): Slice {
  const ruleSet = ruleSetOf(action, shadow);
  if (!decision.wasAsked(ruleSet)) return 0;
  return decision.matched(ruleSet) ? decision.firstMatch(ruleSet) : 1;
}

/** Frees unreferenced memory, as the filter does after a configuration. */
export function collect(): void {
  __collect();
}

function toSlice(text: string): Slice {
  const bytes = String.UTF8.encode(text);
  const copy = allocate(<usize>bytes.byteLength);
  memory.copy(copy, changetype<usize>(bytes), <usize>bytes.byteLength);
  return slice(copy, bytes.byteLength);
}
