/** Differences between two sets of policies as text, as JSON, and as annotations on GitHub. */
import { formatPosition, positionToJson, printable, printableJson, type Style } from "../diagnostics.ts";
import { formatLocation, nameOfRule } from "../explain/names.ts";
import { type AnnotationLevel, annotation } from "../github.ts";
import { readable } from "../host/bytes.ts";
import { DEFAULT_LISTENER, DEFAULT_REQUEST } from "../host/http-connection-manager.ts";
import { CHANGES, type Change, type Comparison, type Decided, type DifferenceClass } from "./diff.ts";
import { WITNESS_TIME, type Witness, type WitnessToken } from "./witness.ts";

export const DIFF_FORMATS = ["text", "json", "github"] as const;
export type DiffFormat = (typeof DIFF_FORMATS)[number];

/** More are not printed for people. */
const MAX_SHOWN = 30;

/** Reasons why something is not decided; more are not printed for people. */
const MAX_REASONS = 5;

/** What each change is called. */
export const CHANGE_WORDS: Readonly<Record<Change, string>> = {
  opened: "opened",
  closed: "closed",
  changed: "answered differently",
  forwarded: "forwarded differently",
};

/**
 * @param pathOf how GitHub names a file: relative to the repository's folder
 * @returns lines
 */
export function formatComparison(
  comparison: Comparison,
  format: DiffFormat,
  style: Style,
  pathOf: (file: string) => string = (file) => file,
): string {
  if (format === "json") return `${printableJson(toJson(comparison), 2)}\n`;
  return format === "github" ? formatGithub(comparison, pathOf) : formatText(comparison, style);
}

function formatText(comparison: Comparison, style: Style): string {
  const { classes, undecided, isCut } = comparison;
  const lines = classes.slice(0, MAX_SHOWN).flatMap((one) => [...formatClass(one, style), ""]);
  if (classes.length > MAX_SHOWN)
    lines.push(`${classes.length - MAX_SHOWN} more: --format json has them all`, "");
  for (const reason of undecided.slice(0, MAX_REASONS))
    lines.push(style.bad(`not decided: ${printable(reason)}`));
  if (undecided.length > MAX_REASONS)
    lines.push(style.bad(`not decided: ${undecided.length - MAX_REASONS} more of this kind`));
  lines.push(summary(comparison, style));
  if (isCut) lines.push("there may be more: the comparison ends after this many");
  return `${lines.join("\n")}\n`;
}

/** How many of each there are, in one line. */
function summary({ equal, classes, undecided, cases }: Comparison, style: Style): string {
  if (equal) return style.good(`equal: every request gets the same answer (${cases} cases)`);
  if (classes.length === 0) return style.bad(`no difference was found, and ${undecided.length} not decided`);
  const counts = CHANGES.flatMap((change) => {
    const count = classes.filter((one) => one.change === change).length;
    return count === 0 ? [] : [`${count} ${CHANGE_WORDS[change]}`];
  });
  return style.strong(counts.join(", "));
}

function formatClass(
  { change, witness, old, new: fresh, upstream }: DifferenceClass,
  style: Style,
): string[] {
  const mark = change === "opened" ? style.bad : change === "closed" ? style.good : style.strong;
  const [first = "", ...more] = requestLines(witness);
  return [
    `${mark(CHANGE_WORDS[change])}: ${first}`,
    ...more.map((line) => `  ${line}`),
    `  old: ${formatDecided(old)}`,
    `  new: ${formatDecided(fresh)}`,
    ...(upstream ? upstreamLines(upstream).map((line) => `  ${line}`) : []),
  ];
}

/** What the upstream receives on one side only; tokens are not printed. */
export function upstreamLines({ old, new: fresh }: NonNullable<DifferenceClass["upstream"]>): string[] {
  const name = (line: string) => printable(line.replace(/^(:?[^:]*): .*/s, "$1"));
  return [
    ...old.map((line) => `upstream, old only: ${name(line)}`),
    ...fresh.map((line) => `upstream, new only: ${name(line)}`),
  ];
}

/** A request in words: method, path and host, then what else it has. */
export function requestLines({ request, listener, tokens }: Witness): string[] {
  const { method, authority, peer, tls, protocol } = request;
  const lines = [`${printable(method)} ${shown(pathOf(request))} of ${shown(authority) || '""'}`];
  const isToken = tokenHeaders(tokens);
  for (const [name, value] of request.headers)
    if (!isToken(name)) lines.push(`with the header ${shown(name)}: ${shown(value)}`);
  if (peer.ip !== DEFAULT_REQUEST.peer.ip) lines.push(`from ${peer.ip}`);
  if (listener.mode === "sidecar") lines.push("behind a proxy whose X-Forwarded-For is trusted");
  const { ip, port } = listener.address;
  if (port !== DEFAULT_LISTENER.address.port) lines.push(`at port ${port}`);
  if (ip !== DEFAULT_LISTENER.address.ip) lines.push(`at ${ip}`);
  if (protocol !== DEFAULT_REQUEST.protocol) lines.push(`over ${protocol}`);
  if (tls) {
    const { serverName = "", peer: client } = tls;
    const names = client?.uriSans?.map(printable).join(", ");
    lines.push(
      `over TLS${serverName === "" ? "" : `, asking for ${shown(serverName)}`}${names ? `, as ${names}` : ""}`,
    );
  }
  lines.push(...(tokens.length === 0 ? ["without a token"] : tokens.map(tokenLine)));
  return lines;
}

function shown(value: string): string {
  return printable(readable(value));
}

function pathOf({ path }: Witness["request"]): string {
  return path.replace(/\?.*/s, "");
}

/** Headers that hold tokens, which are not printed: they are of no use, because their keys are generated. */
function tokenHeaders(tokens: readonly WitnessToken[]): (name: string) => boolean {
  const names = new Set(
    tokens.flatMap(({ place }) =>
      place.kind === "parameter" ? [] : [place.kind === "cookie" ? "cookie" : place.name],
    ),
  );
  return (name) => names.has(name);
}

function tokenLine({ place, claims, signedBy }: WitnessToken): string {
  const where = `in ${formatLocation(place)}`;
  if (claims === undefined) return `with a text that is not a token ${where}`;
  const { exp, ...rest } = claims;
  const isExpired = typeof exp === "number" && exp * 1000 < WITNESS_TIME;
  const kind = isExpired ? "an expired token" : "nbf" in claims ? "a token that is not yet valid" : "a token";
  const signer = signedBy === "another key" ? ", signed by a key that the policies do not have" : "";
  return `with ${kind} ${where}${signer}: ${printableJson(rest)}`;
}

function formatDecided(decided: Decided): string {
  const { answer, reason } = describeDecided(decided);
  const where = decided.position ? formatPosition(decided.position) : "";
  const both = [reason, where].filter((part) => part !== "").join(", ");
  return both === "" ? answer : `${answer} (${both})`;
}

/** An answer, and what decided it; the reason is empty if only the position says it. */
export function describeDecided({ status, body, rule, passed }: Decided): { answer: string; reason: string } {
  const answer = passed ? "passes" : `${status} ${printable(body)}`;
  if (rule !== "") return { answer, reason: printable(nameOfRule(rule)) };
  if (passed) return { answer, reason: "no rule refuses it" };
  return { answer, reason: body.startsWith("RBAC") ? "no ALLOW rule matches" : "" };
}

function toJson({ equal, classes, undecided, isCut, cases }: Comparison): object {
  const of = (change: Change) => classes.filter((one) => one.change === change).map(classToJson);
  return {
    equal,
    opened: of("opened"),
    closed: of("closed"),
    changed: of("changed"),
    forwarded: of("forwarded"),
    undecided,
    mayHaveMore: isCut,
    cases,
  };
}

function classToJson({ witness, old, new: fresh, upstream }: DifferenceClass): object {
  const tokens = witness.tokens.map(({ place, claims, signedBy }) => ({
    place: { ...place, ...(place.prefix !== "" && { prefix: readable(place.prefix) }) },
    claims: claims ?? null,
    signedBy,
  }));
  return {
    request: requestToJson(witness),
    token: tokens[0] ?? null,
    ...(tokens.length > 1 && { tokens }),
    old: decidedToJson(old),
    new: decidedToJson(fresh),
    ...(upstream && { upstream }),
  };
}

/** A request as an object: what is not a token. */
export function requestToJson({ request, listener, tokens }: Witness): object {
  const isToken = tokenHeaders(tokens);
  const { tls } = request;
  return {
    method: request.method,
    host: readable(request.authority),
    path: readable(pathOf(request)),
    headers: request.headers
      .filter(([name]) => !isToken(name))
      .map(([name, value]) => [name, readable(value)]),
    peer: request.peer.ip,
    protocol: request.protocol,
    ...(tls && { tls: { sni: tls.serverName ?? "", client: tls.peer?.uriSans ?? [] } }),
    listener: { mode: listener.mode, address: listener.address.ip, port: listener.address.port },
  };
}

function decidedToJson({ status, body, rule, position }: Decided): object {
  return {
    status,
    body,
    rule: rule === "" ? null : rule,
    position: position ? positionToJson(position) : null,
  };
}

const LEVELS: Record<Change, AnnotationLevel> = {
  opened: "error",
  closed: "warning",
  changed: "notice",
  forwarded: "notice",
};

/** An annotation at the line that decides now, or that decided before. */
function formatGithub({ classes, undecided }: Comparison, pathOf: (file: string) => string): string {
  const nowhere = { file: "", line: 0, column: 0 };
  const found = classes.map(({ change, witness, old, new: fresh }) => {
    const at = fresh.position ?? old.position ?? nowhere;
    const [first = "", ...more] = requestLines(witness);
    const text = [...more, `old: ${formatDecided(old)}`, `new: ${formatDecided(fresh)}`].join("\n");
    return annotation(LEVELS[change], at, `${CHANGE_WORDS[change]}: ${first}`, text, pathOf);
  });
  const open = undecided.map((reason) => annotation("error", nowhere, "not decided", reason, pathOf));
  return [...found, ...open].join("");
}
