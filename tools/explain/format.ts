/** An explanation as text and as JSON. Neither contains a signature, a token or a secret. */
import type { Configuration } from "../config/schema.ts";
import { formatPosition, type Position, positionToJson, printable, type Style } from "../diagnostics.ts";
import { readable } from "../host/bytes.ts";
import type { CompleteRequest } from "../host/http-connection-manager.ts";
import { sawClaim } from "../istio/attributes.ts";
import { UPGRADES } from "../upgrades.ts";
import type { ProviderQuestion } from "./custom.ts";
import type { Explanation, Subject } from "./explain.ts";
import { formatLocation, nameOfRule } from "./names.ts";
import type { ActionStep, ConditionStep, RuleStep } from "./rules.ts";
import type { ProviderStep, TokenStep } from "./tokens.ts";
import type { Claims } from "./trace.ts";

/** What is explained. */
export interface Report {
  explanation: Explanation;
  subject: Subject;
  request: CompleteRequest;
}

/** The explanation as text, with one step on each line. */
export function formatExplanation({ explanation, subject, request }: Report, style: Style): string {
  const { authentication, actions, custom } = explanation;
  const lines: string[] = [];
  const now = new Date(subject.now).toISOString().replace(/\.\d+/, "");
  const asked = printable(`${request.method} ${withoutQuery(request.path)}`);
  lines.push(`${style.strong(asked)} of ${shown(request.authority)}, ${now}`);
  if (custom.length > 0) {
    const questions = custom.flatMap((question) => formatQuestion(question, style));
    lines.push("", style.strong("External authorization"), ...questions);
  }
  if (authentication) lines.push("", style.strong("Tokens"), ...formatTokens(explanation, subject, style));
  if (actions !== undefined && actions.length > 0) {
    lines.push("", style.strong("Policies"), ...actions.flatMap((action) => formatAction(action, style)));
  }
  lines.push("", style.strong("Answer"), ...formatAnswer(explanation, subject, style));
  return `${lines.join("\n")}\n`;
}

function formatTokens({ authentication }: Explanation, { positions }: Subject, style: Style): string[] {
  if (authentication === undefined) return [];
  if (authentication.preflight) return ["  this is a CORS preflight, which is not authenticated"];
  if (authentication.refusal !== "" && authentication.steps.length === 0) {
    return [`  ${style.bad("✗")} ${printable(authentication.refusal)}`];
  }
  if (authentication.steps.length === 0)
    return ["  no token is needed or looked for: there is no RequestAuthentication"];
  return authentication.steps.flatMap((step) =>
    formatProvider(step, positions.providers[step.provider], style),
  );
}

function formatProvider(step: ProviderStep, at: Position | undefined, style: Style): string[] {
  const who = step.issuer === undefined ? "any issuer" : `issuer ${printable(step.issuer)}`;
  const where = [at && formatPosition(at), step.policy && `RequestAuthentication ${step.policy}`].filter(
    Boolean,
  );
  const lines = [`  ${who} ${style.faint(`(${where.join(", ")})`)}`];
  if (step.tokens.length === 0) {
    return [
      ...lines,
      `    no token found: looked in ${printable(step.places.map(formatLocation).join(", "))}`,
    ];
  }
  return [...lines, ...step.tokens.flatMap((token) => formatToken(token, style))];
}

function formatToken(token: TokenStep, style: Style): string[] {
  const { header, claims, remembered, keys = [], refusal, reason } = token;
  const lines = [`    token in ${printable(formatLocation(token.place))}`];
  if (header) lines.push(`      header: ${printable(formatClaims(header, ["alg", "kid", "typ"]))}`);
  if (claims)
    lines.push(`      claims: ${printable(formatClaims(claims, ["iss", "sub", "aud", "exp", "nbf"]))}`);
  if (remembered) lines.push("      no key was tried: the token was verified before");
  for (const { index, kid, kty, alg, outcome } of keys) {
    const name = [kty, alg, kid === undefined ? "without kid" : `kid ${JSON.stringify(kid)}`].filter(Boolean);
    lines.push(`      key ${index} (${printable(name.join(", "))}): ${printable(outcome)}`);
  }
  const verdict =
    refusal === ""
      ? `${style.good("✓")} verified`
      : `${style.bad("✗")} ${printable(reason === undefined ? refusal : `${refusal}: ${reason}`)}`;
  return [...lines, `      ${verdict}`];
}

const MAX_VALUE_LENGTH = 60;
const MAX_NAMES = 12;

/** Members, well-known ones first; long values are cut. */
function formatClaims(claims: Claims, first: readonly string[]): string {
  const names = Object.keys(claims);
  const ordered = [
    ...first.filter((name) => names.includes(name)),
    ...names.filter((name) => !first.includes(name)),
  ];
  const shown = ordered.slice(0, MAX_NAMES).map((name) => {
    const text = JSON.stringify(claims[name]);
    return `${name} ${text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH - 1)}…` : text}`;
  });
  const more = ordered.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "") || "none";
}

function formatQuestion({ provider, isAsked, rules }: ProviderQuestion, style: Style): string[] {
  const what = isAsked
    ? "is asked first; its answer is unknown, and the rest assumes that it allows the request"
    : "is not asked: no rule of its CUSTOM policies matches";
  return [`  ${printable(JSON.stringify(provider))} ${what}`, ...formatRules(rules, style)];
}

/** The most rules of one action that are shown although they do not match. */
const MAX_UNMATCHED = 20;

function formatAction({ action, rules }: ActionStep, style: Style): string[] {
  return rules.length === 0 ? [`  ${action}: no rule`] : [`  ${action}`, ...formatRules(rules, style)];
}

function formatRules(rules: readonly RuleStep[], style: Style): string[] {
  const unmatched = rules.filter(({ matched }) => !matched);
  const hidden = new Set(unmatched.slice(MAX_UNMATCHED));
  const shown = rules.filter((rule) => !hidden.has(rule));
  const more = `    … and ${hidden.size} more that do not match (--json has them all)`;
  return [
    ...shown.flatMap((rule) => formatRule(rule, style)),
    ...(hidden.size > 0 ? [style.faint(more)] : []),
  ];
}

function formatRule(rule: RuleStep, style: Style): string[] {
  const mark = rule.matched ? style.good("✓") : style.bad("✗");
  const place = style.faint(formatPosition(rule.at));
  const trial = rule.dryRun ? " (dry-run)" : "";
  const asked = rule.asked ? "" : style.faint(" (not asked: it was decided before)");
  const line = `    ${mark} ${printable(nameOfRule(rule.id))}${trial}: ${rule.matched ? "matches" : "does not match"}  ${place}${asked}`;
  if (rule.from === undefined) return [line, "        a policy without rules matches nothing"];
  const { from, to = [], when = [] } = rule;
  if (from.length + to.length + when.length === 0)
    return [line, "        a rule without conditions matches everything"];
  const alternatives = (name: string, entries: ConditionStep[][]): string[] =>
    entries.flatMap((conditions, i) => [
      ...(entries.length > 1
        ? [`        ${name} ${i + 1} of ${entries.length}, any of which is enough`]
        : []),
      ...conditions.map((condition) => formatCondition(condition, style)),
    ]);
  return [
    line,
    ...alternatives("from", from),
    ...alternatives("to", to),
    ...when.map((condition) => formatCondition(condition, style)),
  ];
}

function formatCondition({ name, at, values, verdict, actual }: ConditionStep, style: Style): string {
  const mark = verdict ? style.good("✓") : style.bad("✗");
  const shown = values.slice(0, 5).join(", ") + (values.length > 5 ? `, … (${values.length})` : "");
  return `        ${mark} ${printable(`${name} ${shown}`)}  ${style.faint(formatPosition(at))}: ${printable(actual)}`;
}

function formatAnswer(explanation: Explanation, { configuration }: Subject, style: Style): string[] {
  const { outcome, changes } = explanation;
  const why = because(explanation, configuration);
  if (outcome.answer) {
    const { status, body } = outcome.answer;
    return [`  ${style.bad(body === "" ? `${status}` : `${status} ${shown(body)}`)}`, `  ${printable(why)}`];
  }
  const asked = explanation.custom.filter(({ isAsked }) => isAsked);
  const condition =
    asked.length === 0
      ? ""
      : `, if ${asked.map(({ provider }) => JSON.stringify(provider)).join(" and ")} allows it`;
  const lines = [`  ${style.good("forwarded")}${printable(condition)}`, `  ${printable(why)}`];
  const upgrade = outcome.upstream?.headers.find(([name]) => name === "upgrade")?.[1];
  if (upgrade !== undefined) {
    lines.push(
      `  if the service answers 101, the connection becomes a ${shown(upgrade)}, whose data policies do not see`,
    );
  }
  for (const { header, because } of headersNotSet(explanation, configuration))
    lines.push(`  ! header ${shown(header)} is not set: ${printable(because)}`);
  for (const name of changes?.removed ?? []) lines.push(`  - header ${shown(name)}`);
  for (const [name, value] of changes?.added ?? []) lines.push(`  + header ${shown(name)}: ${shown(value)}`);
  if (changes?.path !== undefined)
    lines.push(`  = path ${shown(withoutQuery(changes.path))}${changes.path.includes("?") ? "?…" : ""}`);
  return lines;
}

/** Headers that a verified token's claims should have set and did not, and why. */
export function headersNotSet(
  { authentication, outcome }: Explanation,
  { providers = [] }: Configuration,
): { header: string; because: string }[] {
  const headers = new Set(outcome.upstream?.headers.map(([name]) => name));
  return (authentication?.steps ?? []).flatMap((step) => {
    const token = step.tokens.find(({ refusal, claims }) => refusal === "" && claims !== undefined);
    const provider = providers.find(({ name }) => name === step.provider);
    if (token?.claims === undefined || provider === undefined) return [];
    const { claims } = token;
    return (provider.claimToHeaders ?? []).flatMap(({ headerName, claimName }) => {
      if (headers.has(headerName)) return [];
      const path = claimName.split(".");
      const isDotted = path.length > 1 && Object.hasOwn(claims, claimName);
      const hint = `; there is a claim named ${claimName}, but a dot selects a member of an object`;
      return [{ header: headerName, because: sawClaim(path, claims) + (isDotted ? hint : "") }];
    });
  });
}

/** The meaning of some of Envoy's own response-code details. */
const ENVOYS_REASONS: ReadonlyMap<string, string> = new Map([
  [
    "upgrade_failed",
    `it allows only the upgrade ${UPGRADES.join(", ")}, and refuses others before the filter runs`,
  ],
  ["route_not_found", "the policies allow it, but no route accepts CONNECT"],
]);

/** Why the request got this answer, from the details that the filter set. */
export function because(
  { outcome, decidedBy }: Pick<Explanation, "outcome" | "decidedBy">,
  { authorization }: Configuration,
): string {
  const { answer } = outcome;
  if (answer?.details.startsWith("jwt_authn_access_denied{"))
    return "a token was refused, so policies were not asked";
  if (answer?.details === "jwtgate_host_failure") return "the proxy refused a call of its filter";
  if (answer && !answer.details.startsWith("rbac_access_denied_matched_policy[")) {
    const reason = ENVOYS_REASONS.get(answer.details);
    return `Envoy itself refuses such a request: ${answer.details}${reason === undefined ? "" : `: ${reason}`}`;
  }
  if (decidedBy) {
    const verb = answer ? "refuses" : "allows";
    return `${nameOfRule(decidedBy.rule)} (${formatPosition(decidedBy.at)}) ${verb} it`;
  }
  if (answer) return "no rule of an ALLOW policy matches";
  return authorization === undefined
    ? "no policy was asked: there is no AuthorizationPolicy"
    : "no DENY rule matches, and there is no ALLOW policy";
}

/** Text from bytes, escaped so that it cannot control a terminal. */
function shown(value: string): string {
  return printable(readable(value));
}

/** A query may hold a token. */
function withoutQuery(path: string): string {
  return path.replace(/[?#].*/s, "");
}

/** The rule that decided, in JSON. */
export function decisionToJson({ rule, at }: { rule: string; at: Position }): object {
  return { rule, name: nameOfRule(rule), ...positionToJson(at) };
}

/** The explanation as a value for JSON. */
export function explanationToJson({ explanation, subject, request }: Report): object {
  const { authentication, outcome, actions, decidedBy, changes } = explanation;
  const position = (at: Position | undefined) => at && positionToJson(at);
  const condition = ({ at, ...rest }: ConditionStep) => ({ ...rest, ...positionToJson(at) });
  const rulesToJson = (rules: readonly RuleStep[]) =>
    rules.map(({ at, from, to, when, ...rest }) => ({
      ...rest,
      ...positionToJson(at),
      from: from?.map((entry) => entry.map(condition)),
      to: to?.map((entry) => entry.map(condition)),
      when: when?.map(condition),
    }));
  return {
    request: { method: request.method, host: request.authority, path: withoutQuery(request.path) },
    now: new Date(subject.now).toISOString(),
    authentication: authentication && {
      preflight: authentication.preflight,
      refusal: authentication.refusal || null,
      providers: authentication.steps.map((step) => ({
        ...step,
        refusal: step.refusal || null,
        ...position(subject.positions.providers[step.provider]),
        tokens: step.tokens.map((token) => ({ ...token, refusal: token.refusal || null })),
      })),
    },
    externalAuthorization: explanation.custom.map(({ provider, policies, isAsked, rules }) => ({
      provider,
      policies,
      asked: isAsked,
      rules: rulesToJson(rules),
    })),
    policies: actions?.map(({ action, rules }) => ({ action, rules: rulesToJson(rules) })),
    decision: {
      forwarded: outcome.upstream !== undefined,
      status: outcome.answer?.status ?? null,
      body: outcome.answer ? readable(outcome.answer.body) : null,
      details: outcome.answer ? readable(outcome.answer.details) : null,
      decidedBy: decidedBy ? decisionToJson(decidedBy) : null,
      // The fields before decidedBy was added; kept for one version.
      rule: decidedBy?.rule ?? null,
      at: decidedBy ? formatPosition(decidedBy.at) : null,
      because: because(explanation, subject.configuration),
    },
    upstream: changes && {
      removed: changes.removed,
      notSet: headersNotSet(explanation, subject.configuration),
      added: Object.fromEntries(changes.added.map(([name, value]) => [name, readable(value)])),
    },
  };
}
