/** A line for each request: what was requested, the result, and the line of YAML that decided. */
import type { SourceMap } from "../compile.ts";
import type { Position } from "../diagnostics.ts";
import { ABSENT, parseAccessLog } from "../render/access-log.ts";

/** A decision on a request. A text that Envoy does not have, such as the path of a malformed request, is `-`. */
export interface Decision {
  time: string;
  method: string;
  path: string;
  /** 0 if there was no answer, because the client had gone. */
  status: number;
  /** For a gRPC call, whose `status` is 200 even if it failed. */
  grpcStatus?: number;
  /** Envoy's response-code details. */
  details: string;
  /** The body of a refusal by the filter, or those details if Envoy could not get an answer. */
  reason?: string;
  /** ISSUER/SUBJECT of the verified token. */
  principal?: string;
  /** The rule's id. */
  rule?: string;
  /** Of the rule. */
  at?: Position;
}

/**
 * @returns undefined if the line is not from an access log, and `"known"` if it is the end of a WebSocket, which was
 *   reported when it began
 */
export function parseDecision(line: string, { rules }: SourceMap): Decision | "known" | undefined {
  const entry = parseAccessLog(line);
  if (entry === undefined) return undefined;
  if (entry.endsUpgrade) return "known";
  const { time, method, path, status, grpcStatus = 0, details, principal, policy: rule, reason } = entry;
  const at = rule !== undefined && Object.hasOwn(rules, rule) ? rules[rule] : undefined;
  // Envoy's own errors, such as an unavailable service; not the service's.
  const isOwn = details !== ABSENT && details !== "via_upstream";
  const failure = isOwn && (status === 0 || status >= 400 || grpcStatus !== 0) ? details : undefined;
  const why = reason !== undefined && reason !== "allowed" ? reason : failure;
  return {
    time,
    method,
    path,
    status,
    ...(entry.grpcStatus !== undefined && { grpcStatus }),
    details,
    ...(why !== undefined && { reason: why }),
    ...(principal !== undefined && { principal }),
    ...(rule !== undefined && { rule }),
    ...(at && { at }),
  };
}
