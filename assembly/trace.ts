/**
 * Reports what the module does with a request, event by event, for tools that explain it (docs/decisions/0020). Only a
 * module compiled with `asc --use JWTGATE_TRACE=1` sends events. Every call is guarded by `if (TRACING)`, which the
 * compiler folds, so the release contains no byte of it (tests/trace checks this).
 *
 * An event is its kind, one byte, followed by its fields in order: a number is 4 bytes, the lowest first; a text is its
 * length and its bytes. tools/explain/events.ts has the same table; a test compares the two.
 *
 * No event contains a signature, a key or a token, unless a policy is about the header that holds the token. The reader
 * of the events hides that header's value.
 */
import { sendTraceEvent } from "./abi/trace";
import { Slice, lengthOf } from "./memory/slice";
import { ByteBuilder } from "./encoding/byte-builder";

/** Whether this module sends events. */
// @ts-ignore: decorator
@inline
export const TRACING: bool = isDefined(JWTGATE_TRACE);

const enum Event {
  Begin = 1,
  Preflight,
  Provider,
  Location,
  Token,
  Malformed,
  Content,
  Remembered,
  Key,
  TokenEnd,
  ProviderEnd,
  Authenticated,
  Policies,
  Seen,
  Property,
  Payload,
  List,
  Element,
  Holds,
  RuleSet,
  Rule,
  Decision,
}

/** The result of trying a key. */
export const enum KeyOutcome {
  OtherKid,
  OtherAlgorithm,
  /** An Ed25519 key and a signature of another length. The search ends. */
  WrongLength,
  /** A key of this type does not verify the token's algorithm. */
  Unable,
  /** The limit of keys is reached. The search ends. */
  Limit,
  Bad,
  Verified,
}

/** The longest event without its texts, in bytes. */
const MAX_FIXED_SIZE: i32 = 64;

/** Writes one event. */
class Writer {
  private readonly builder: ByteBuilder = new ByteBuilder();

  /** @param textSize bytes of all its texts */
  begin(event: Event, textSize: i32 = 0): Writer {
    this.builder.begin(MAX_FIXED_SIZE + textSize).appendByte(<u8>event);
    return this;
  }

  number(value: i32): Writer {
    const builder = this.builder;
    for (let shift = 0; shift < 32; shift += 8) builder.appendByte(<u8>(value >>> shift));
    return this;
  }

  text(bytes: Slice): Writer {
    this.number(lengthOf(bytes)).builder.append(bytes);
    return this;
  }

  ascii(text: string): Writer {
    this.number(text.length);
    for (let i = 0; i < text.length; i++) this.builder.appendByte(<u8>text.charCodeAt(i));
    return this;
  }

  send(): void {
    sendTraceEvent(this.builder.slice);
  }
}

// @ts-ignore: decorator
@lazy
const writer = new Writer();

/** A request starts. A request that had to wait starts again: earlier events are void. */
export function traceBegin(): void {
  writer.begin(Event.Begin).send();
}

/** The request is a CORS preflight, which is not authenticated. */
export function tracePreflight(): void {
  writer.begin(Event.Preflight).send();
}

/** A provider is asked. @param index in the configuration */
export function traceProvider(index: i32): void {
  writer.begin(Event.Provider).number(index).send();
}

/** A location of the provider. @param kind a LocationKind */
export function traceLocation(kind: i32, name: Slice, prefix: Slice): void {
  writer
    .begin(Event.Location, lengthOf(name) + lengthOf(prefix))
    .number(kind)
    .text(name)
    .text(prefix)
    .send();
}

/** The provider checks a token there. @param length of the token in bytes @param limit the longest allowed */
export function traceToken(kind: i32, name: Slice, prefix: Slice, length: i32, limit: i32): void {
  writer
    .begin(Event.Token, lengthOf(name) + lengthOf(prefix))
    .number(kind)
    .text(name)
    .text(prefix)
    .number(length)
    .number(limit)
    .send();
}

/** The token does not have the form of a JWS. @param empty index of the first empty segment, or -1 */
export function traceMalformed(sections: i32, empty: i32): void {
  writer.begin(Event.Malformed).number(sections).number(empty).send();
}

/** The token's header and claims, if they can be read, as JSON. */
export function traceContent(header: Slice, claims: Slice): void {
  writer
    .begin(Event.Content, lengthOf(header) + lengthOf(claims))
    .text(header)
    .text(claims)
    .send();
}

/** The token was verified before and is in the cache: no key is tried. */
export function traceRemembered(): void {
  writer.begin(Event.Remembered).send();
}

/**
 * A key is tried or skipped.
 *
 * @param type a KeyType
 * @param algorithm empty if the key has none
 * @param tried how many keys were tried before
 */
export function traceKey(
  index: i32,
  kid: Slice,
  type: i32,
  algorithm: Slice,
  tried: i32,
  outcome: KeyOutcome,
): void {
  writer
    .begin(Event.Key, lengthOf(kid) + lengthOf(algorithm))
    .number(index)
    .text(kid)
    .number(type)
    .text(algorithm)
    .number(tried)
    .number(outcome)
    .send();
}

/** The provider's result for the token. @param body of a refusal @param claim that a header cannot carry, or EMPTY */
export function traceTokenEnd(status: i32, body: Slice, claim: Slice): void {
  writer
    .begin(Event.TokenEnd, lengthOf(body) + lengthOf(claim))
    .number(status)
    .text(body)
    .text(claim)
    .send();
}

/** The provider's result for the request. */
export function traceProviderEnd(status: i32, body: Slice, claim: Slice): void {
  writer
    .begin(Event.ProviderEnd, lengthOf(body) + lengthOf(claim))
    .number(status)
    .text(body)
    .text(claim)
    .send();
}

/** The result of authentication. @param provider whose token policies see, or -1 */
export function traceAuthenticated(status: i32, body: Slice, claim: Slice, provider: i32): void {
  writer
    .begin(Event.Authenticated, lengthOf(body) + lengthOf(claim))
    .number(status)
    .text(body)
    .text(claim)
    .number(provider)
    .send();
}

/** The policies are evaluated. */
export function tracePolicies(): void {
  writer.begin(Event.Policies).send();
}

/** A value that predicates compare. @param field of the predicates @param name of a header, else EMPTY */
export function traceSeen(field: string, name: Slice, value: Slice): void {
  writer
    .begin(Event.Seen, field.length + lengthOf(name) + lengthOf(value))
    .ascii(field)
    .text(name)
    .text(value)
    .send();
}

/** A property read from the host. @param path with NUL between its segments */
export function traceProperty(path: Slice, value: Slice): void {
  writer
    .begin(Event.Property, lengthOf(path) + lengthOf(value))
    .text(path)
    .text(value)
    .send();
}

/** The claims that policies see, as JSON. */
export function tracePayload(claims: Slice): void {
  writer.begin(Event.Payload, lengthOf(claims)).text(claims).send();
}

/** Policies see a string claim as a list: the elements that follow, or the whole string if none follows. */
export function traceList(claim: Slice): void {
  writer.begin(Event.List, lengthOf(claim)).text(claim).send();
}

/** An element of that list. */
export function traceElement(element: Slice): void {
  writer.begin(Event.Element, lengthOf(element)).text(element).send();
}

/** A predicate holds. @param index in the configuration */
export function traceHolds(predicate: i32): void {
  writer.begin(Event.Holds).number(predicate).send();
}

/** Rules of one action, enforced or dry-run. @param ruleSet a RuleSet */
export function traceRuleSet(ruleSet: i32): void {
  writer.begin(Event.RuleSet).number(ruleSet).send();
}

/**
 * A rule of that set.
 *
 * @param matched whether its condition holds
 * @param asked whether the filter looked at it
 */
export function traceRule(id: Slice, matched: bool, asked: bool): void {
  writer
    .begin(Event.Rule, lengthOf(id))
    .text(id)
    .number(<i32>matched)
    .number(<i32>asked)
    .send();
}

/** The result of the policies. @param rule the one that decided, or EMPTY */
export function traceDecision(refused: bool, rule: Slice): void {
  writer
    .begin(Event.Decision, lengthOf(rule))
    .number(<i32>refused)
    .text(rule)
    .send();
}
