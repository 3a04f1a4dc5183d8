/** A line for each request: what was asked, what came of it, and the line of YAML that decided. */
import type { SourceMap } from "../compile.ts";
import type { Position } from "../diagnostics.ts";

/** What the access log has of a request (tools/render/bootstrap.ts), where the filter writes its state. */
export interface LoggedRequest {
  time: string;
  method: string;
  path: string;
  status: number;
  details: string;
  principal?: string | null;
  policy?: string | null;
  reason?: string | null;
}

/** Who decided what. */
export interface Decision {
  time: string;
  method: string;
  path: string;
  status: number;
  /** Envoy's response-code details. */
  details: string;
  /** The body of a refusal by the filter, or else those details where Envoy could not get an answer. */
  reason?: string;
  /** ISSUER/SUBJECT of the verified token. */
  principal?: string;
  /** The rule's id. */
  rule?: string;
  /** Of the rule. */
  at?: Position;
}

/** @returns undefined where the line is no access log's */
export function parseDecision(line: string, { rules }: SourceMap): Decision | undefined {
  const logged = parse(line);
  if (logged === undefined) return undefined;
  const { time, method, path, status, details, principal, policy, reason } = logged;
  const rule = policy || undefined;
  const at = rule !== undefined && Object.hasOwn(rules, rule) ? rules[rule] : undefined;
  // Envoy's own errors, such as a service that is not there; not the service's.
  const failure = status >= 400 && details !== "via_upstream" ? details : undefined;
  const why = reason && reason !== "allowed" ? reason : failure;
  return {
    time,
    method,
    path,
    status,
    details,
    ...(why && { reason: why }),
    ...(principal && { principal }),
    ...(rule !== undefined && { rule }),
    ...(at && { at }),
  };
}

function parse(line: string): LoggedRequest | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const entry = JSON.parse(line) as Partial<LoggedRequest>;
    return typeof entry.details === "string" ? (entry as LoggedRequest) : undefined;
  } catch {
    return undefined;
  }
}
