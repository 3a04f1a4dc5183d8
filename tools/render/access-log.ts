/**
 * Reads a line of the access log that the bootstrap configures (bootstrap.ts). Envoy writes null for absent values: a
 * malformed request has no method, path or authority.
 */

/** A request in the access log. */
export interface AccessLogEntry {
  /** In RFC 3339 format. */
  time: string;
  method: string;
  /** Without its query. */
  path: string;
  authority: string;
  /** 0 if there was no answer. */
  status: number;
  /** For a gRPC call: HTTP's status is 200 even for a refusal. */
  grpcStatus?: number;
  /** Envoy's response-code details. */
  details: string;
  /** ISSUER/SUBJECT of the verified token. */
  principal?: string;
  /** The id of the rule that decided. */
  policy?: string;
  /** `allowed`, or the body of the filter's refusal. */
  reason?: string;
  /** Set at the end of an upgraded connection, whose beginning has a line too (ListenerOptions, `logsUpgrades`). */
  endsUpgrade?: true;
}

/** Replaces an absent text, as in Envoy's own access logs. */
export const ABSENT = "-";

/** @returns undefined if the line is something else */
export function parseAccessLog(line: string): AccessLogEntry | undefined {
  const entry = parseObject(line);
  if (entry === undefined || !MARKS.every((name) => Object.hasOwn(entry, name))) return undefined;
  const text = (name: string): string | undefined => {
    const value = entry[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const status = entry["status"];
  const grpcStatus = entry["grpc_status"];
  const [principal, policy, reason] = [text("principal"), text("policy"), text("reason")];
  return {
    time: text("time") ?? ABSENT,
    method: text("method") ?? ABSENT,
    path: text("path") ?? ABSENT,
    authority: text("authority") ?? ABSENT,
    status: typeof status === "number" ? status : 0,
    ...(typeof grpcStatus === "number" && { grpcStatus }),
    details: text("details") ?? ABSENT,
    ...(principal !== undefined && { principal }),
    ...(policy !== undefined && { policy }),
    ...(reason !== undefined && { reason }),
    ...(status === 101 && text("type") === "DownstreamEnd" && { endsUpgrade: true as const }),
  };
}

/** The members that identify a line. */
const MARKS = ["time", "method", "path", "status", "details"] as const;

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
