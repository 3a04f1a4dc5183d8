/**
 * Converts a gateway's answers to tests of its policy, as `jwtgate test` runs them: what each answer allows
 * and refuses.
 */
import { claimPath, OPERATION, stringMatch } from "../istio/attributes.ts";
import { isPathTemplate } from "../istio/path-template.ts";
import { toYaml } from "../render/yaml.ts";
import {
  type Answers,
  conditionsOf,
  type Issuer,
  locationsOf,
  type Match,
  type TokenLocation,
} from "./resources.ts";

/** What a client sends, without a token. */
interface Request {
  method?: string;
  path?: string;
  host?: string;
}

/** A token's description, as in a test file. */
type Token = Record<string, unknown>;

type Json = Record<string, unknown>;

/** The subject of all tokens. */
const SUBJECT = "alice";

/** A value that does not occur in policies by chance. */
const OTHER = "not-in-the-policy";

/**
 * @param policy of the answers, as the test file names it: relative to its folder
 * @returns YAML
 */
export function renderTests(answers: Answers, policy: string): string {
  const { issuers } = answers;
  const names = issuers.map((_, index) => (issuers.length === 1 ? "issuer" : `issuer-${index + 1}`));
  const described = issuers.map((issuer, index) => testsOf(answers, issuer, names[index] ?? ""));
  const request = protectedRequest(answers);
  const open = openRequest(answers);
  const file = {
    ...subjectOf(answers, policy),
    keys: Object.fromEntries(issuers.map(({ issuer }, index) => [names[index] ?? "", { issuer }])),
    tokens: Object.assign({}, ...described.map(({ tokens }) => tokens)) as Record<string, Token>,
    tests: [
      ...(request === undefined
        ? []
        : [{ name: "a request without a token is refused", request, expect: 403 }]),
      ...(open === undefined
        ? []
        : [{ name: "a request that needs no token passes without one", request: open, expect: 200 }]),
      ...described.flatMap(({ tests }) => tests),
    ],
  };
  return toYaml([file], HEADING, { shortLists: true });
}

/** What is tested. */
function subjectOf({ namespace, labels, gateway }: Answers, policy: string): Json {
  const workload = {
    ...(namespace !== undefined && { namespace }),
    ...(labels !== undefined && { labels }),
    ...(gateway !== undefined && { gateway }),
  };
  return { policies: [policy], ...(Object.keys(workload).length > 0 && { workload }) };
}

/** The name of the request with a valid token. */
export const VALID_TOKEN = "a valid token";

/**
 * Four requests that show what a gateway does: without a token, with one, with an invalid one, and one that needs none. If
 * all requests need a token, the last one has an expired token.
 *
 * @param policy as in `renderTests`
 * @param privateKey that signs for the first issuer, a JWK; absent: a key is made, and trusted instead of its
 *   own
 * @returns YAML of a test file; fewer requests if the patterns do not show one
 */
export function renderRequests(answers: Answers, policy: string, privateKey?: Json): string {
  const [issuer] = answers.issuers as [Issuer];
  const [location] = locationsOf(issuer.locations) as [TokenLocation];
  const key = "issuer";
  const aud = issuer.audiences[0];
  const claims = { sub: SUBJECT, ...(aud !== undefined && { aud }), ...claimsOf(answers) };
  const [closed, open] = [protectedRequest(answers), openRequest(answers)];
  const request = (token: string) => requestWith(answers, token, location);
  const last =
    open === undefined
      ? { name: "an expired token", request: request("expired"), expect: 401 }
      : { name: "no token, if none is needed", request: open, expect: 200 };
  const file = {
    ...subjectOf(answers, policy),
    keys: {
      [key]:
        privateKey === undefined ? { issuer: issuer.issuer } : { issuer: issuer.issuer, jwk: privateKey },
    },
    tokens: {
      valid: { key, claims },
      invalid: "invalid token",
      ...(open === undefined && { expired: { from: "valid", spoil: "expired" } }),
    },
    tests: [
      ...(closed === undefined ? [] : [{ name: "no token", request: closed, expect: 403 }]),
      { name: VALID_TOKEN, request: request("valid"), expect: 200 },
      { name: "an invalid token", request: request("invalid"), expect: 401 },
      last,
    ],
  };
  return toYaml([file], "The four requests of the wizard.", { shortLists: true });
}

const HEADING = `Run these tests with \`jwtgate test\`. They use their own keys instead of the issuer's. Edit them together with the policy: docs/testing.md has every field.`;

/** For one issuer: a valid token at each location, and tokens that each lack one thing. */
function testsOf(answers: Answers, { audiences, locations }: Issuer, key: string) {
  const good = `token-of-${key}`;
  const [audience] = audiences;
  const claims = claimsOf(answers);
  const tokens: Record<string, Token> = {
    [good]: { key, claims: { sub: SUBJECT, ...(audience !== undefined && { aud: audience }), ...claims } },
  };
  const all = locationsOf(locations);
  const tests: Json[] = all.map((location) => ({
    name: `a token of ${key} opens: ${describeLocation(location)}`,
    request: requestWith(answers, good, location),
    expect: 200,
  }));
  const [first] = all;
  const refuse = (name: string, token: Token, status: 401 | 403) => {
    // Invalid tokens are refused everywhere, and other requirements of the policy apply only where the policy does.
    if (status === 403 && protectedRequest(answers) === undefined) return;
    const id = `${name.replaceAll(" ", "-")}-of-${key}`;
    tokens[id] = token;
    tests.push({
      name: `${name} of ${key} is refused`,
      request: requestWith(answers, id, first as TokenLocation),
      expect: status,
    });
  };
  refuse("a spoilt signature", { from: good, spoil: "flipped-signature" }, 401);
  refuse("a forged token", { from: good, spoil: "wrong-key" }, 401);
  refuse("an unsigned token", { from: good, spoil: "alg-none" }, 401);
  refuse("an expired token", { from: good, spoil: "expired" }, 401);
  if (audience !== undefined) {
    refuse("a token for another audience", { from: good, spoil: "wrong-audience" }, 403);
  }
  for (const { name, values } of conditionsOf(answers)) {
    const [claim = ""] = claimPath(name);
    // A principal needs both, so without one of them there is none.
    const others = claim === "iss" || claim === "sub" ? undefined : without(answers, name);
    if (others === undefined) continue;
    const what = claim === "scope" ? `a token without the scope ${values[0]}` : `a token without ${name}`;
    const aud = audience !== undefined && claim !== "aud" ? { aud: audience } : {};
    refuse(what, { key, claims: { sub: SUBJECT, ...aud, ...others } }, 403);
  }
  return { tokens, tests };
}

function describeLocation({ kind, name }: TokenLocation): string {
  return `${kind} ${name}`;
}

function requestWith(answers: Answers, token: string, { kind, name, prefix }: TokenLocation): Json {
  const at =
    kind === "header"
      ? { header: name, ...(prefix !== undefined && { prefix }) }
      : { [kind === "parameter" ? "param" : "cookie"]: name };
  return { ...protectedRequest(answers), token: { name: token, ...at } };
}

/** Claims that satisfy every condition. */
function claimsOf(answers: Answers): Json {
  const claims: Json = {};
  for (const { name, values } of conditionsOf(answers)) {
    const path = claimPath(name);
    const value = instanceOf(values[0] ?? "");
    const isWord = path.length === 1 && path[0] === "scope";
    const before = isWord && typeof claims["scope"] === "string" ? `${claims["scope"]} ` : "";
    put(claims, path, `${before}${value}`);
  }
  return claims;
}

/** The claims of all conditions except those of one name. */
function without(answers: Answers, name: string): Json {
  const { scopes, claims } = answers;
  const isScope = name === "[scope]";
  return claimsOf({
    ...answers,
    scopes: isScope ? [] : scopes,
    claims: claims.filter((one) => one.name !== name && `[${one.name}]` !== name),
  });
}

function put(claims: Json, [name = "", ...rest]: readonly string[], value: string): void {
  if (rest.length === 0) {
    claims[name] = value;
    return;
  }
  const inner = (claims[name] ?? {}) as Json;
  claims[name] = inner;
  put(inner, rest, value);
}

/** A request that needs a token; undefined if the patterns do not show one. */
function protectedRequest({ scope, match }: Answers): Request | undefined {
  if (scope === "all") return {};
  return scope === "matched" ? matching(match) : outside(match);
}

/** A request that needs no token; undefined if all need one, or if the patterns do not show one. */
function openRequest({ scope, match }: Answers): Request | undefined {
  if (scope === "all") return undefined;
  return scope === "matched" ? outside(match) : matching(match);
}

/** A request that the first value of every list matches. */
function matching({ paths, hosts, methods }: Match): Request {
  const [path, host, method] = [paths[0], hosts[0], methods[0]];
  return {
    ...(method !== undefined && { method: method.includes("*") ? "GET" : method }),
    ...(path !== undefined && { path: pathOf(path) }),
    ...(host !== undefined && { host: instanceOf(host) }),
  };
}

/** A request that does not match one of the lists; undefined if each of them may match anything. */
function outside(match: Match): Request | undefined {
  const { paths, hosts, methods } = match;
  const path = paths.length > 0 ? otherThan("paths", paths, [`/${OTHER}`, `/${OTHER}.txt`]) : undefined;
  if (path !== undefined) return { ...matching(match), path };
  const host =
    hosts.length > 0 ? otherThan("hosts", hosts, [`${OTHER}.example`, `${OTHER}.test`]) : undefined;
  if (host !== undefined) return { ...matching(match), host };
  const method = methods.length > 0 ? otherThan("methods", methods, METHODS) : undefined;
  return method === undefined ? undefined : { ...matching(match), method };
}

const METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/** The first candidate that no pattern can match. */
function otherThan(
  name: string,
  patterns: readonly string[],
  candidates: readonly string[],
): string | undefined {
  const fold = (text: string) => (OPERATION[name]?.patterns?.ignoresCase ? text.toLowerCase() : text);
  return candidates.find((candidate) => !patterns.some((pattern) => mayMatch(fold(pattern), candidate)));
}

/** Only the literal beginning of a template is compared, so this may be true for a path that it does not match. */
function mayMatch(pattern: string, text: string): boolean {
  if (isPathTemplate(pattern)) return text.startsWith(pattern.slice(0, pattern.indexOf("{")));
  const match = stringMatch(pattern);
  if ("prefix" in match) return text.startsWith(match.prefix);
  if ("suffix" in match) return text.endsWith(match.suffix);
  return "exact" in match ? text === match.exact : true;
}

/** A path that a pattern or a template matches. */
function pathOf(pattern: string): string {
  if (isPathTemplate(pattern)) return pattern.replaceAll(/\{\*\*?\}/g, "x");
  if (pattern === "*") return "/";
  const path = instanceOf(pattern);
  return path.startsWith("/") ? path : `/${path}`;
}

/** A text that a pattern matches. */
function instanceOf(pattern: string): string {
  if (pattern === "*") return "x";
  if (pattern.startsWith("*")) return `x${pattern.slice(1)}`;
  return pattern.endsWith("*") ? `${pattern.slice(0, -1)}x` : pattern;
}
