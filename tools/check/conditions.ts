/** Conditions that do not mean what they seem to: most of them are never true. */

import type { Clause } from "../istio/authorization-policy.ts";
import { isPathTemplate } from "../istio/path-template.ts";
import { quote } from "../istio/report.ts";
import type { Located } from "../istio/yaml.ts";
import { isNameWithDots } from "./authentication.ts";
import type { Findings } from "./findings.ts";
import { covers } from "./patterns.ts";

/** What the findings about a condition depend on, besides the condition. */
export interface Surroundings {
  /** Issuers of all RequestAuthentications; undefined if a rule accepts any issuer. */
  issuers: ReadonlySet<string> | undefined;
  /** Claims that are split at spaces. */
  spaceDelimited: ReadonlySet<string>;
}

export function checkClause(clause: Clause, surroundings: Surroundings, findings: Findings): void {
  const { name, attribute, values, notValues } = clause;
  const isPrincipal = name === "requestPrincipals" || name === "request.auth.principal";
  for (const value of [...values, ...notValues]) {
    if (isPrincipal) checkRequestPrincipal(value, surroundings, findings);
    else if (attribute?.patterns) checkAsterisks(name, value, findings);
    if (name === "methods") checkMethod(value, findings);
    if (name === "paths") checkPath(value, findings);
    if (attribute?.claim) checkSpace(attribute.claim, value, surroundings, findings);
  }
  if (attribute?.claim && name.endsWith("]")) checkClaim(attribute.claim, clause, findings);
  const excluded = values.length > 0 && values.every(({ value }) => covers(attribute, notValues, value));
  if (excluded) findings.add("JG111", clause.at, `${name} is never true: each of its values is excluded too`);
}

function checkRequestPrincipal(
  { value, at }: Located<string>,
  { issuers }: Surroundings,
  findings: Findings,
): void {
  if (value === "*") return;
  const slash = value.lastIndexOf("/");
  const issuer = value.slice(0, Math.max(slash, 0));
  if (value === "*/*") {
    findings.add("JG102", at, '"*/*" means any issuer and the subject "*", which no token has');
  } else if (slash < 0 && !value.includes("*")) {
    const [known] = issuers ?? [];
    const remedy =
      known === undefined || issuers?.has(value)
        ? `write "${value}/*" for every subject of this issuer`
        : `write "${known}/${value}" for this subject of the trusted issuer`;
    findings.add("JG101", at, `${quote(value)} has no slash, so it matches no principal`, remedy);
  } else if (/^https?:\/$/.test(issuer)) {
    const written = value.replace(/\*$/, "");
    const whole = [...(issuers ?? [])].find((known) => known.startsWith(written)) ?? [...(issuers ?? [])][0];
    findings.add(
      "JG103",
      at,
      `${quote(value)} is read as the issuer ${quote(issuer)} and a subject, which matches no principal`,
      `write "${whole ?? written}/*", with the whole issuer`,
    );
  } else if (issuers !== undefined && issuers.size > 0) {
    checkIssuer(value, at, issuers, findings);
  }
}

/** Checks that a trusted issuer can match. */
function checkIssuer(
  value: string,
  at: Located<string>["at"],
  issuers: ReadonlySet<string>,
  findings: Findings,
): void {
  const slash = value.lastIndexOf("/");
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const possible = [...issuers].some((known) => {
    if (value.startsWith("*")) return slash < 0 || known.endsWith(issuer.slice(1));
    if (slash < 0) return known.startsWith(value.replace(/\*$/, ""));
    return known === issuer;
  });
  if (possible) return;
  const slashed = [...issuers].find((known) => known === `${issuer}/`);
  const message = `${quote(value)} is of the issuer ${quote(issuer)}, and no RequestAuthentication trusts it`;
  if (slashed !== undefined) {
    findings.add(
      "JG104",
      at,
      `${message}: the trusted one ends in a slash`,
      `write ${quote(`${slashed}/${value.slice(slash + 1)}`)}`,
    );
  } else {
    const [known] = issuers;
    const written = quote(`${known}/${slash < 0 ? "*" : value.slice(slash + 1)}`);
    const remedy = `write ${written}; the trusted issuers are ${[...issuers].map(quote).join(", ")}`;
    findings.add("JG104", at, message, remedy);
  }
}

function checkAsterisks(name: string, { value, at }: Located<string>, findings: Findings): void {
  if (name === "paths" && isPathTemplate(value)) return;
  const rest = value.startsWith("*") ? value.slice(1) : value.replace(/\*$/, "");
  if (rest.includes("*")) findings.add("JG105", at, `${quote(value)} has a literal asterisk`);
}

function checkMethod({ value, at }: Located<string>, findings: Findings): void {
  const upper = value.toUpperCase();
  if (value === upper) return;
  findings.add("JG109", at, `no request has the method ${quote(value)}`, `write ${quote(upper)}`);
}

function checkPath({ value, at }: Located<string>, findings: Findings): void {
  if (value.startsWith("*")) return;
  if (!value.startsWith("/")) {
    findings.add(
      "JG110",
      at,
      `no request has the path ${quote(value)}, which does not begin with a slash`,
      `write ${quote(`/${value.replace(/[?#].*$/s, "")}`)}`,
    );
  } else if (/[?#]/.test(value)) {
    findings.add(
      "JG110",
      at,
      `no path has a query or a fragment, as ${quote(value)} has`,
      `write ${quote(value.replace(/[?#].*$/s, ""))}`,
    );
  } else if (/\/\.\.?(\/|$)|\\|%(2[dDeE]|5[fF]|7[eE]|3\d|[46][1-9a-fA-F]|[57][0-9aA])/.test(value)) {
    findings.add("JG110", at, `${quote(value)} is not normalised, and the path that it is compared with is`);
  }
}

function checkSpace(
  path: readonly string[],
  { value, at }: Located<string>,
  { spaceDelimited }: Surroundings,
  findings: Findings,
): void {
  const [claim = ""] = path;
  if (path.length > 1 || !spaceDelimited.has(claim) || !value.includes(" ")) return;
  findings.add(
    "JG108",
    at,
    `${claim} is split at spaces, so no word of it is ${quote(value)}`,
    `write ${value.split(/ +/).map(quote).join(", ")}`,
  );
}

/** Claims of RFC 7519 §4.1, OpenID Connect Core §2 and §5.1, and Keycloak that are never strings. */
const NUMBERS = new Set(["exp", "nbf", "iat", "auth_time", "updated_at"]);
const OBJECTS = new Set(["address", "realm_access", "resource_access", "cnf", "act"]);
/** Booleans by their specification; some issuers write them as strings. */
const BOOLEANS = new Set(["email_verified", "phone_number_verified"]);

/** @param path of a claim that the user named */
function checkClaim(path: readonly string[], { at, values, notValues }: Clause, findings: Findings): void {
  const [claim = ""] = path;
  const isTop = path.length === 1;
  if (isTop && NUMBERS.has(claim)) {
    findings.add("JG106", at, `${claim} is a number, which matches no value`);
  } else if (isTop && OBJECTS.has(claim)) {
    findings.add(
      "JG106",
      at,
      `${claim} is an object, which matches no value`,
      `select a member of it: request.auth.claims[${claim}][NAME]`,
    );
  } else if (isTop && BOOLEANS.has(claim)) {
    findings.add("JG107", at, `${claim} is a boolean with most issuers, which matches no value`);
  } else {
    const names = claim.split(".");
    if (isTop && names.length > 1 && !names.includes("") && !isNameWithDots(claim)) {
      const message = `[${claim}] is a claim whose name has dots, and not ${names.at(-1)} inside of ${names[0]}`;
      findings.add("JG112", at, message, `write request.auth.claims[${names.join("][")}]`);
    }
    const odd = [...values, ...notValues].find(({ value }) => /^(true|false|\d+)$/.test(value));
    if (odd)
      findings.add("JG107", odd.at, `${quote(odd.value)} matches a string only, not a boolean or number`);
  }
}
