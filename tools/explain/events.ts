/**
 * The events of the traced module: kinds by number, and the fields of each in order. assembly/trace.ts writes them; a
 * test compares it with this table (tests/trace/table.test.ts).
 */

import { latin1Decode } from "../host/bytes.ts";

type Field = "number" | "text";

/** By name: the kind's number, and its fields. A number is 32 bits, signed; a text is bytes. */
export const EVENTS = {
  Begin: { kind: 1, fields: {} },
  Preflight: { kind: 2, fields: {} },
  Provider: { kind: 3, fields: { index: "number" } },
  Location: { kind: 4, fields: { kind: "number", name: "text", prefix: "text" } },
  Token: {
    kind: 5,
    fields: { kind: "number", name: "text", prefix: "text", length: "number", limit: "number" },
  },
  Malformed: { kind: 6, fields: { sections: "number", empty: "number" } },
  Content: { kind: 7, fields: { header: "text", claims: "text" } },
  Remembered: { kind: 8, fields: {} },
  Key: {
    kind: 9,
    fields: {
      index: "number",
      kid: "text",
      type: "number",
      algorithm: "text",
      tried: "number",
      outcome: "number",
    },
  },
  TokenEnd: { kind: 10, fields: { status: "number", body: "text", claim: "text" } },
  ProviderEnd: { kind: 11, fields: { status: "number", body: "text", claim: "text" } },
  Authenticated: {
    kind: 12,
    fields: { status: "number", body: "text", claim: "text", provider: "number" },
  },
  Policies: { kind: 13, fields: {} },
  Seen: { kind: 14, fields: { field: "text", name: "text", value: "text" } },
  Property: { kind: 15, fields: { path: "text", value: "text" } },
  Payload: { kind: 16, fields: { claims: "text" } },
  List: { kind: 17, fields: { claim: "text" } },
  Element: { kind: 18, fields: { element: "text" } },
  Holds: { kind: 19, fields: { predicate: "number" } },
  RuleSet: { kind: 20, fields: { ruleSet: "number" } },
  Rule: { kind: 21, fields: { id: "text", matched: "number", asked: "number" } },
  Decision: { kind: 22, fields: { refused: "number", rule: "text" } },
} as const satisfies Record<string, { kind: number; fields: Record<string, Field> }>;

/** The names of the module's enumerations, by number (assembly/, `const enum`). */
export const LOCATION_KINDS = ["Header", "Parameter", "Cookie"] as const;
export const KEY_TYPES = ["RSA", "EC", "Oct", "OKP", "AKP"] as const;
export const KEY_OUTCOMES = [
  "OtherKid",
  "OtherAlgorithm",
  "WrongLength",
  "Unable",
  "Limit",
  "Bad",
  "Verified",
] as const;
export const RULE_SETS = ["DryRunAudit", "Audit", "DryRunDeny", "Deny", "DryRunAllow", "Allow"] as const;
/** Statuses that the body of the refusal does not fully explain. */
export const STATUS = {
  Ok: 0,
  JwtNotYetValid: 2,
  JwtExpired: 3,
  JwtBadFormat: 4,
  JwtUnknownIssuer: 24,
  JwtAudienceNotAllowed: 25,
  JwksFetchFail: 40,
  JwtClaimNotHeaderValue: 74,
  JwtTooLarge: 75,
  JwtHeaderTypNotAllowed: 78,
  JwtClaimMissing: 79,
  JwtLifetimeTooLong: 80,
} as const;

type Kinds = typeof EVENTS;
type Decoded<F> = { [name in keyof F]: F[name] extends "number" ? number : string };

/** An event: its name, and its fields. Texts are latin-1: one character for each byte. */
export type TraceEvent = {
  [name in keyof Kinds]: { event: name } & Omit<Decoded<Kinds[name]["fields"]>, "event">;
}[keyof Kinds];

const BY_KIND = new Map<number, [string, [string, Field][]]>(
  Object.entries(EVENTS).map(([name, { kind, fields }]) => [
    kind,
    [name, Object.entries(fields) as [string, Field][]],
  ]),
);

/**
 * Reads one event.
 *
 * @param bytes what the module sent
 * @throws {RangeError} if they are not an event: the module has another version
 */
export function decodeEvent(bytes: Uint8Array): TraceEvent {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [event, fields] = BY_KIND.get(bytes[0] ?? 0) ?? [];
  if (event === undefined || fields === undefined) {
    throw new RangeError(`the traced module sent an event of the unknown kind ${bytes[0]}`);
  }
  let at = 1;
  const number = (): number => {
    at += 4;
    return view.getInt32(at - 4, true);
  };
  const text = (): string => {
    const length = number();
    at += length;
    return latin1Decode(bytes.subarray(at - length, at));
  };
  const values = fields.map(([name, type]) => [name, type === "number" ? number() : text()]);
  if (at !== bytes.length) throw new RangeError(`the traced module sent a ${event} event of another length`);
  return { event, ...Object.fromEntries(values) } as TraceEvent;
}
