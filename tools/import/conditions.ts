/** Converts single conditions of Envoy's filters to Istio's: texts, headers, paths, addresses, certificates. */
import type { Position } from "../diagnostics.ts";
import { parseCidr } from "../istio/cidr.ts";
import { quote } from "../istio/report.ts";
import {
  ALWAYS,
  type Atom,
  all,
  any,
  type Expression,
  type Misfit,
  NEVER,
  not,
  without,
} from "./expression.ts";
import type { Message } from "./message.ts";
import {
  caseVariants,
  type Patterns,
  patternsOf,
  readRegex,
  readStringMatcher,
  type StringMatcher,
  type TextMatch,
} from "./patterns.ts";

/** Special rules for the texts of one attribute. */
interface TextRules {
  kind?: "path" | "text";
  /** Whether Istio ignores its case. */
  ignoresCase?: boolean;
  /** The expression for any text, the empty one included. */
  always?: Expression;
  /** How `*` differs from a non-empty text; absent if it does not. */
  star?: Misfit;
  /** How a pattern differs from the condition. */
  misfit?: Misfit;
}

/** The condition that an attribute's text matches. */
export function textCondition(
  attribute: string,
  { at, match, ignoreCase }: StringMatcher,
  rules: TextRules = {},
): Expression {
  const { kind = "text", misfit, star = misfit } = rules;
  const atom = (values: readonly string[], own: Misfit | undefined = misfit): Atom => ({
    attribute,
    values,
    at,
    ...(own && { misfit: own }),
  });
  if (ignoreCase !== (rules.ignoresCase ?? false) && hasLetters(match)) {
    if (!ignoreCase) return without(at, `Istio compares ${attribute} without regard to upper and lower case`);
    const variants = "exact" in match ? caseVariants(match.exact) : undefined;
    if (variants !== undefined && patternFault(match, kind) === undefined) return atom(variants);
    return without(at, `Istio compares ${attribute} with regard to upper and lower case`);
  }
  const patterns = patternsOf(match, kind);
  if ("fault" in patterns) return without(at, patterns.fault);
  const template: Misfit | undefined = patterns.hasTemplate
    ? {
        matches: "fewer",
        reason: `{*} is a segment without characters that no path has, and ${describe(match)} any other`,
      }
    : misfit;
  const plain = patterns.alternatives
    .filter(({ except }) => except === undefined)
    .map(({ pattern }) => pattern);
  return any(
    ...(patterns.always ? [rules.always ?? atom(["*"])] : []),
    ...(patterns.nonEmpty ? [atom(["*"], star)] : []),
    ...(plain.length > 0 ? [atom(plain, template)] : []),
    ...exceptions(patterns, atom),
  );
}

function exceptions({ alternatives }: Patterns, atom: (values: readonly string[]) => Atom): Expression[] {
  return alternatives.flatMap(({ pattern, except }) =>
    except === undefined ? [] : [all(atom([pattern]), not(atom([except])))],
  );
}

function patternFault(match: TextMatch, kind: "path" | "text"): string | undefined {
  const patterns = patternsOf(match, kind);
  return "fault" in patterns ? patterns.fault : undefined;
}

function hasLetters(match: TextMatch): boolean {
  return /[A-Za-z]/.test(Object.values(match)[0] as string);
}

function describe(match: TextMatch): string {
  return quote(Object.values(match)[0] as string);
}

/** A path without its query. */
export function pathCondition(matcher: StringMatcher): Expression {
  return textCondition("paths", matcher, { kind: "path", always: ALWAYS });
}

/** Reads an envoy.type.matcher.v3.PathMatcher. */
export function readPathMatcher(message: Message): Expression {
  const path = message.message("path");
  message.finish();
  const matcher = path && readStringMatcher(path);
  return matcher ? pathCondition(matcher) : missing(message);
}

/** A missing value, for which an error was already reported. */
export function missing({ at, path }: Message): Expression {
  return without(at, `${path} has no value`);
}

/** How several headers with one name are compared: each by itself, or as one text joined with commas. */
export type Repeated = "each" | "joined";

/** Reads an envoy.config.route.v3.HeaderMatcher. */
export function readHeaderMatcher(message: Message, repeated: Repeated): Expression {
  const name = message.string("name");
  const invert = message.boolean("invert_match");
  const treatsMissingAsEmpty = message.boolean("treat_missing_header_as_empty");
  const kind = message.oneOf(
    "string_match",
    "exact_match",
    "prefix_match",
    "suffix_match",
    "contains_match",
    "safe_regex_match",
    "present_match",
    "range_match",
  );
  const { at } = message;
  const isPresent = kind === "present_match" ? message.boolean("present_match") : true;
  message.ignore("range_match");
  const matcher = kind === "present_match" ? undefined : headerText(message, kind);
  message.finish();
  if (name === undefined) return missing(message);
  if (kind === "range_match") return without(at, "Istio has no ranges of numbers for headers");
  const present: Expression = headerPresent(name.value, at);
  if (matcher === undefined) {
    // Without any match, the header must be present.
    if (kind !== "present_match" && kind !== undefined) return missing(message);
    if (treatsMissingAsEmpty) return isPresent === invert ? NEVER : ALWAYS;
    return isPresent === invert ? not(present) : present;
  }
  const matches = headerCondition(name.value, matcher, repeated);
  const matchesEmpty = treatsMissingAsEmpty && isEmptyMatched(matcher.match);
  if (invert) return treatsMissingAsEmpty && !matchesEmpty ? not(matches) : all(present, not(matches));
  return matchesEmpty ? any(not(present), matches) : matches;
}

function headerText(message: Message, kind: string | undefined): StringMatcher | undefined {
  if (kind === "string_match") {
    const string = message.message("string_match");
    return string && readStringMatcher(string);
  }
  if (kind === "safe_regex_match") {
    const regex = readRegex(message.message("safe_regex_match"));
    return regex === undefined ? undefined : { at: message.at, match: { regex }, ignoreCase: false };
  }
  const text = kind === undefined ? undefined : (message.string(kind)?.value ?? "");
  if (kind === undefined || text === undefined) return undefined;
  const name = kind.replace("_match", "");
  const match = { [name]: text } as TextMatch;
  return name === "range" ? undefined : { at: message.at, match, ignoreCase: false };
}

function isEmptyMatched(match: TextMatch): boolean {
  if ("exact" in match) return match.exact === "";
  const patterns = patternsOf(match, "text");
  return "fault" in patterns || patterns.always;
}

function headerPresent(name: string, at: Position): Atom {
  const lower = name.toLowerCase();
  const isHost = lower === ":authority" || lower === "host";
  return {
    attribute: lower === ":method" ? "methods" : isHost ? "hosts" : headerKey(name),
    values: ["*"],
    at,
  };
}

function headerKey(name: string): string {
  return `request.headers[${name}]`;
}

/** The condition on a header's text. */
export function headerCondition(name: string, matcher: StringMatcher, repeated: Repeated): Expression {
  const lower = name.toLowerCase();
  const { at, ignoreCase, match } = matcher;
  if (lower === ":method") return methodCondition(matcher);
  if ((lower === ":authority" || lower === "host") && (ignoreCase || !hasLetters(match))) {
    return textCondition(
      "hosts",
      { ...matcher, ignoreCase: true },
      {
        ignoresCase: true,
        always: { attribute: "hosts", values: ["*"], at },
      },
    );
  }
  const joined = repeated === "joined" && !name.startsWith(":") ? joinedMisfit(match) : undefined;
  return textCondition(headerKey(name), matcher, {
    always: headerPresent(name, at),
    star: { matches: "more", reason: `"*" matches any value of the header ${name}, the empty one too` },
    ...(joined && { misfit: joined }),
  });
}

function methodCondition(matcher: StringMatcher): Expression {
  const { match, at } = matcher;
  if (!matcher.ignoreCase || !("exact" in match))
    return textCondition("methods", matcher, { always: ALWAYS });
  // Methods are case-sensitive (RFC 9110, 9.1), and all registered ones are in upper case.
  const method = match.exact.toUpperCase();
  const exactly = caseVariants(method);
  if (exactly === undefined || patternFault(match, "text") !== undefined) {
    return without(at, "Istio compares methods with regard to upper and lower case");
  }
  const reason = `only the method ${method} in upper case is meant`;
  return { attribute: "methods", values: [method], at, misfit: { matches: "fewer", reason, exactly } };
}

/** Envoy's filter joins a repeated header with commas; Istio compares each value by itself. */
function joinedMisfit(match: TextMatch): Misfit {
  const text = Object.values(match)[0] as string;
  const reason =
    "a header that comes several times is compared value by value, and not as one text with commas";
  return { matches: "regex" in match || text.includes(",") ? "other" : "more", reason };
}

/** Reads an envoy.config.core.v3.CidrRange. */
export function readCidr(attribute: string, message: Message): Expression {
  const address = message.string("address_prefix");
  const length = message.integer("prefix_len") ?? 0;
  message.finish();
  const range = address && parseCidr(`${address.value}/${length}`);
  if (address && range === undefined) {
    message.report.error(address.at, `${quote(`${address.value}/${length}`)} is not a range of addresses`);
  }
  return range === undefined ? missing(message) : { attribute, values: [range], at: message.at };
}

/** Reads a path template (envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig). */
export function templateCondition(template: string, at: Position): Expression {
  const segments = template
    .split("/")
    .map((segment) => (segment === "*" ? "{*}" : segment === "**" ? "{**}" : segment));
  if (segments.some((segment) => /[*{}]/.test(segment) && segment !== "{*}" && segment !== "{**}")) {
    return without(
      at,
      `Istio's templates have * and ** as whole segments only, and ${quote(template)} has more`,
    );
  }
  return { attribute: "paths", values: [segments.join("/")], at };
}

const SPIFFE = "spiffe://";

/** The patterns that istiod writes for namespaces, service accounts and trust domains. */
const IDENTITIES: { regex: RegExp; attribute: string; value: (...texts: string[]) => string }[] = [
  { regex: /^\.\*\/ns\/(.+)\/\.\*$/, attribute: "namespaces", value: (name = "") => stars(name) },
  {
    regex: /^spiffe:\/\/\.\+\/ns\/(.+)\/\(\.\+\/\|\)sa\/(.+)\(\/\.\+\)\?$/,
    attribute: "serviceAccounts",
    value: (namespace = "", name = "") => `${unquoted(namespace)}/${unquoted(name)}`,
  },
  {
    regex: /^spiffe:\/\/(.*)\[\^\/\]\*(.*)\/\.\*$/,
    attribute: "trustDomains",
    value: (start = "", end = "") => `${unquoted(start)}*${unquoted(end)}`,
  },
  { regex: /^spiffe:\/\/\.\*(.+)$/, attribute: "principals", value: (end = "") => `*${unquoted(end)}` },
];

/**
 * The inverse of Go's regexp.QuoteMeta. @returns a text with a character that no name has, if the regex is more than a
 * literal
 */
function unquoted(regex: string): string {
  return /^(?:\\[\\.+*?()|[\]{}^$]|[^\\.+*?()|[\]{}^$])*$/.test(regex) ? regex.replace(/\\(.)/g, "$1") : "\n";
}

function stars(regex: string): string {
  return regex.split(".*").map(unquoted).join("*");
}

/** The name in the peer's certificate: its URI SANs, its DNS SANs or its subject. */
export function certificateCondition(matcher: StringMatcher): Expression {
  const { at, match, ignoreCase } = matcher;
  const atom = (attribute: string, value: string, misfit?: Misfit): Expression => ({
    attribute,
    values: [value],
    at,
    ...(misfit && { misfit }),
  });
  const noName = (text: string) =>
    without(
      at,
      `Istio's principals are SPIFFE names, which begin with ${SPIFFE}, and ${quote(text)} does not`,
    );
  if (ignoreCase) return without(at, "Istio compares principals with regard to upper and lower case");
  if ("regex" in match) {
    if (match.regex === ".+" || match.regex === ".*") return atom("principals", "*");
    for (const { regex, attribute, value } of IDENTITIES) {
      const found = regex.exec(match.regex);
      const text = found && value(...found.slice(1));
      if (text && !text.includes("\n")) return atom(attribute, text);
    }
  }
  if ("suffix" in match) {
    const reason = `a principal that ends in ${quote(match.suffix)} begins with ${SPIFFE} in Istio, and may be any name of the certificate in Envoy`;
    return atom("principals", `*${match.suffix}`, { matches: "fewer", reason });
  }
  const patterns = patternsOf(match, "text");
  if ("fault" in patterns) return without(at, patterns.fault);
  const { alternatives, always, nonEmpty } = patterns;
  if (always || nonEmpty || alternatives.length === 0) return atom("principals", "*");
  const names = alternatives.map(({ pattern, except }) => ({ pattern, except }));
  const stranger = names.find(({ pattern, except }) => !pattern.startsWith(SPIFFE) || except !== undefined);
  if (stranger !== undefined) return noName(stranger.pattern);
  const values = names.map(({ pattern }) => pattern.slice(SPIFFE.length));
  // Only `spiffe://`, or with a trust domain.
  if (values.length === 1 && values[0] === "*") return atom("trustDomains", "*");
  const unsayable = values.find((value) => value === "" || value.startsWith("*"));
  return unsayable === undefined ? { attribute: "principals", values, at } : noName(unsayable);
}
