/** Conditions on the token: metadata that jwt_authn writes → `request.auth` of Istio. */
import type { Position } from "../diagnostics.ts";
import { claimPath, SOURCE, stringMatch } from "../istio/attributes.ts";
import { and } from "../istio/expression.ts";
import { quote } from "../istio/report.ts";
import { type Atom, all, any, type Expression, type Misfit, NEVER, not, without } from "./expression.ts";
import type { Message } from "./message.ts";
import { type Patterns, patternsOf, readStringMatcher, type StringMatcher } from "./patterns.ts";

export const JWT_AUTHN = "envoy.filters.http.jwt_authn";

/** What conditions need to know about a provider. */
export interface ClaimProvider {
  issuer?: string;
  /** The key of its payload in the metadata. Without one, no condition sees the token. */
  payloadKey?: string;
  /** Claims that are lists in the metadata if a token has them as text with spaces. */
  spaceDelimited: readonly string[];
}

export interface ClaimsOptions {
  providers: readonly ClaimProvider[];
  /** Why conditions of this filter do not see the token, if that is so. */
  fault?: string;
  /** Whether every token has each claim in the type that a condition names. */
  assumeTypes: boolean;
}

/** Istio always splits these at spaces. */
const ALWAYS_DELIMITED = ["scope", "permission"];

/** A token with another type of these is refused. */
const TEXT_CLAIMS = ["iss", "sub", "jti"];

/** A comparison of a claim's value: with a text, with the elements of a list, or for presence. */
interface ValueMatcher {
  texts: StringMatcher[];
  elements: StringMatcher[];
  isPresent: boolean;
  /** Why Istio has no equivalent. */
  fault?: string;
}

export class Claims {
  constructor(private readonly options: ClaimsOptions) {}

  /** Reads an envoy.type.matcher.v3.MetadataMatcher. */
  read(message: Message): Expression {
    const filter = message.string("filter")?.value ?? "";
    const path = message.messages("path").map((segment) => {
      const key = segment.string("key")?.value ?? "";
      segment.finish();
      return key;
    });
    const value = message.message("value");
    const isInverted = message.boolean("invert");
    const matcher = value && readValueMatcher(value);
    message.finish();
    const { at } = message;
    if (matcher === undefined) return without(at, `${message.path} has no value`);
    if (filter !== JWT_AUTHN) {
      return without(at, `policies cannot see what ${quote(filter)} writes, because it may run after them`);
    }
    const [key = "", ...names] = path;
    const condition = this.condition(key, names, matcher, at);
    return isInverted ? not(condition) : condition;
  }

  /**
   * The condition that a claim of a provider's token has one of the values.
   *
   * @param key under which the provider writes the payload
   * @param names from the payload down
   */
  condition(key: string, names: readonly string[], matcher: ValueMatcher, at: Position): Expression {
    const { providers, fault } = this.options;
    if (fault !== undefined) return without(at, fault);
    const writers = providers.filter(({ payloadKey }) => payloadKey === key);
    if (writers.length === 0) return NEVER;
    const claim = this.claim(names, matcher, writers, at);
    const others = providers.filter((provider) => !writers.includes(provider));
    if (others.length === 0) return claim;
    const issuers = writers.map(({ issuer }) => issuer ?? "");
    if (issuers.includes("") || others.some(({ issuer = "" }) => issuer === "" || issuers.includes(issuer))) {
      return without(
        at,
        `the metadata ${quote(key)} belongs to some providers only, and their tokens cannot be distinguished by issuer`,
      );
    }
    return all({ attribute: claimKey(["iss"]), values: [...new Set(issuers)], at }, claim);
  }

  /**
   * Combines a condition on the issuer and one on the subject into one on the principal, if one value of Istio can
   * express both.
   */
  requestPrincipal(conditions: readonly Expression[]): Expression | undefined {
    const [issuer, subject] = ["iss", "sub"].map((name) =>
      conditions.find((one): one is Atom => "attribute" in one && one.attribute === claimKey([name])),
    );
    if (conditions.length !== 2 || issuer === undefined || subject === undefined) return undefined;
    const [iss, ...moreIssuers] = issuer.values;
    const [sub, ...moreSubjects] = subject.values;
    if (iss === undefined || sub === undefined || moreIssuers.length + moreSubjects.length > 0)
      return undefined;
    if (issuer.misfit !== undefined || (subject.misfit !== undefined && sub !== "")) return undefined;
    const wanted = JSON.stringify(
      and([
        { claim: ["iss"], match: stringMatch(iss) },
        { claim: ["sub"], match: stringMatch(sub) },
      ]),
    );
    const candidates = iss === "*" && sub === "*" ? ["*"] : [`${iss}/${sub}`, iss === "*" ? sub : iss];
    const context = { namespace: "", trustDomain: "" };
    const value = candidates.find(
      (one) => JSON.stringify(SOURCE["requestPrincipals"]?.expression(one, context)) === wanted,
    );
    return value === undefined
      ? undefined
      : { attribute: "requestPrincipals", values: [value], at: issuer.at };
  }

  private claim(
    names: readonly string[],
    { texts, elements, isPresent, fault }: ValueMatcher,
    writers: readonly ClaimProvider[],
    at: Position,
  ): Expression {
    if (fault !== undefined) return without(at, fault);
    const [name = ""] = names;
    const key = claimKey(names);
    if (
      names.includes("") ||
      JSON.stringify(claimPath(key.slice("request.auth.claims".length))) !== JSON.stringify(names)
    ) {
      return without(at, `Istio has no key for the claim ${quote(names.join("."))}`);
    }
    const attribute = names.length === 1 && name === "aud" ? "request.auth.audiences" : key;
    if (isPresent) {
      const reason = `"*" is a claim ${quote(name)} that is a text, and this matches any text, number or boolean`;
      return { attribute, values: ["*"], at, misfit: { matches: "fewer", reason } };
    }
    const isTop = names.length === 1;
    if (isTop && TEXT_CLAIMS.includes(name)) return this.texts(attribute, texts, undefined, at);
    const delimiting = isTop
      ? writers.filter(({ spaceDelimited }) => spaceDelimited.includes(name)).length
      : 0;
    if (delimiting === writers.length) return this.texts(attribute, elements, undefined, at);
    if (isTop && ALWAYS_DELIMITED.includes(name)) {
      const reason = `Istio splits the claim ${name} at spaces, and the providers do not (normalize_payload_in_metadata)`;
      return this.texts(attribute, [...texts, ...elements], { matches: "other", reason }, at);
    }
    return this.texts(attribute, mergedMatchers(texts, elements), this.typeMisfit(name, texts, elements), at);
  }

  /** Istio compares a claim's text and the elements of a list alike. */
  private typeMisfit(
    name: string,
    texts: readonly StringMatcher[],
    elements: readonly StringMatcher[],
  ): Misfit | undefined {
    const [asText, asElement] = [texts, elements].map((matchers) => keysOf(matchers));
    if (this.options.assumeTypes || asText === asElement) return undefined;
    const [these, those] = elements.length === 0 ? ["a text", "a list"] : ["a list", "a text"];
    const advice = `if every token has ${these} there, pass --assume-claim-types`;
    const reason = `Istio compares the claim ${quote(name)} as ${these} and as ${those}, and this as ${these} only; ${advice}`;
    return { matches: "more", reason };
  }

  private texts(
    attribute: string,
    matchers: readonly StringMatcher[],
    misfit: Misfit | undefined,
    at: Position,
  ): Expression {
    return any(...matchers.map((matcher) => this.text(attribute, matcher, misfit, at)));
  }

  private text(
    attribute: string,
    { match, ignoreCase }: StringMatcher,
    misfit: Misfit | undefined,
    at: Position,
  ): Expression {
    if (ignoreCase) return without(at, "Istio compares claims with regard to upper and lower case");
    const patterns = patternsOf(match, "text");
    if ("fault" in patterns) {
      // For a subject, a request principal can express it.
      const isEmpty = "exact" in match && match.exact === "";
      return {
        attribute,
        values: isEmpty ? [""] : [],
        at,
        misfit: { matches: "other", reason: patterns.fault },
      };
    }
    const atom = (values: readonly string[], own = misfit): Atom => ({
      attribute,
      values,
      at,
      ...(own && { misfit: own }),
    });
    const { always, nonEmpty, alternatives } = patterns;
    const plain = alternatives.filter(({ except }) => except === undefined).map(({ pattern }) => pattern);
    return any(
      ...(always ? [atom(["*"], misfit ?? EMPTY_TOO)] : []),
      ...(nonEmpty ? [atom(["*"])] : []),
      ...(plain.length > 0 ? [atom(plain, misfit ?? this.lineMisfit(patterns))] : []),
      ...alternatives.flatMap(({ pattern, except }) =>
        except === undefined
          ? []
          : [
              all(
                atom([pattern], misfit ?? this.lineMisfit(patterns)),
                not(atom([except], misfit ?? OTHER_ELEMENT)),
              ),
            ],
      ),
    );
  }

  private lineMisfit({ isOneLine }: Patterns): Misfit | undefined {
    if (!isOneLine || this.options.assumeTypes) return undefined;
    const reason =
      "Istio's pattern matches texts with line breaks too; if no token has such a claim, pass --assume-claim-types";
    return { matches: "more", reason };
  }
}

const EMPTY_TOO: Misfit = { matches: "fewer", reason: `"*" is not an empty text` };

/** `.+` after a text: another element of the list may equal the text without a suffix. */
const OTHER_ELEMENT: Misfit = {
  matches: "more",
  reason: "one element of a list may match and another be only the text",
};

/** The key of `when` for a claim. */
export function claimKey(names: readonly string[]): string {
  return `request.auth.claims${names.map((name) => `[${name}]`).join("")}`;
}

/** Whether an attribute belongs to the token. */
export function isOfToken(attribute: string): boolean {
  return attribute.startsWith("request.auth.") || attribute === "requestPrincipals";
}

/** A list that contains one of the texts. */
export function listMatcher(elements: StringMatcher[]): ValueMatcher {
  return { texts: [], elements, isPresent: false };
}

/** A text that equals one of the texts. */
export function textMatcher(texts: StringMatcher[]): ValueMatcher {
  return { texts, elements: [], isPresent: false };
}

function keysOf(matchers: readonly StringMatcher[]): string {
  return JSON.stringify(matchers.map(({ match, ignoreCase }) => JSON.stringify([match, ignoreCase])).sort());
}

/** Each comparison once. */
function mergedMatchers(
  texts: readonly StringMatcher[],
  elements: readonly StringMatcher[],
): StringMatcher[] {
  return [...new Map([...texts, ...elements].map((one) => [keysOf([one]), one])).values()];
}

/** Reads an envoy.type.matcher.v3.ValueMatcher. */
function readValueMatcher(message: Message): ValueMatcher {
  const kinds = [
    "null_match",
    "double_match",
    "string_match",
    "bool_match",
    "present_match",
    "list_match",
    "or_match",
  ];
  const kind = message.oneOf(...kinds);
  const none: ValueMatcher = { texts: [], elements: [], isPresent: false };
  const found = ((): ValueMatcher => {
    switch (kind) {
      case "string_match": {
        const string = message.message("string_match");
        const matcher = string && readStringMatcher(string);
        return matcher ? { ...none, texts: [matcher] } : none;
      }
      case "present_match":
        if (message.boolean("present_match")) return { ...none, isPresent: true };
        return { ...none, fault: "Istio cannot express that a claim is absent" };
      case "list_match":
        return readListMatcher(message.message("list_match"));
      case "or_match":
        return joinMatchers(message.message("or_match"));
    }
    message.ignore(...kinds);
    if (kind !== undefined)
      return { ...none, fault: "Istio compares claims that are texts or lists of texts only" };
    message.report.error(message.at, `${message.path} must have one of ${kinds.join(", ")}`);
    return none;
  })();
  message.finish();
  return found;
}

/** A list's elements are compared; Istio does not search nested lists. */
function readListMatcher(message: Message | undefined): ValueMatcher {
  const element = message?.message("one_of");
  const inner = element && readValueMatcher(element);
  message?.finish();
  const none: ValueMatcher = { texts: [], elements: [], isPresent: false };
  if (inner === undefined) return { ...none, fault: "a list is compared by one_of" };
  const isText = inner.elements.length === 0 && !inner.isPresent;
  const fault = inner.fault ?? (isText ? undefined : "Istio compares elements of a list that are texts only");
  return { ...none, elements: inner.texts, ...(fault !== undefined && { fault }) };
}

function joinMatchers(message: Message | undefined): ValueMatcher {
  const parts = message?.messages("value_matchers").map(readValueMatcher) ?? [];
  message?.finish();
  const fault =
    parts.find((part) => part.fault !== undefined)?.fault ??
    (parts.some(({ isPresent }) => isPresent)
      ? "Istio cannot express that a claim is present or has a value"
      : undefined);
  return {
    texts: parts.flatMap(({ texts }) => texts),
    elements: parts.flatMap(({ elements }) => elements),
    isPresent: false,
    ...(fault !== undefined && { fault }),
  };
}
