/** Lines of the access log that the bootstrap configures, as Envoy writes them. */
import { describe, expect, test } from "vitest";
import { parseAccessLog } from "../../tools/render/access-log.ts";

/** Envoy writes null for what it does not have. */
const LINE = {
  time: "2026-01-31T12:00:00.000Z",
  client: "10.0.0.1",
  protocol: "HTTP/1.1",
  method: "GET",
  authority: "shop.example.com",
  path: "/cart",
  status: 403,
  grpc_status: null,
  details: "rbac_access_denied_matched_policy[none]",
  flags: "-",
};
const parse = (fields: object) => parseAccessLog(JSON.stringify({ ...LINE, ...fields }));
const ENTRY = {
  time: LINE.time,
  method: "GET",
  authority: "shop.example.com",
  path: "/cart",
  status: 403,
  details: LINE.details,
};

describe("a line of the access log", () => {
  test("has the request and the answer", () => expect(parse({})).toEqual(ENTRY));

  test("has what filter state adds", () => {
    const state = { principal: "idp/alice", policy: "ns[foo]-policy[a]-rule[0]", reason: "allowed" };
    expect(parse(state)).toEqual({ ...ENTRY, ...state });
    expect(parse({ principal: null, policy: "", reason: null })).toEqual(ENTRY);
  });

  test("has the status of a gRPC call", () => {
    expect(parse({ status: 200, grpc_status: 7 })).toEqual({ ...ENTRY, status: 200, grpcStatus: 7 });
    expect(parse({ grpc_status: "7" })).toEqual(ENTRY);
  });

  test("has - and 0 for missing values", () => {
    const missing = { time: null, method: null, authority: null, path: "", details: null, status: null };
    expect(parse(missing)).toEqual({
      time: "-",
      method: "-",
      authority: "-",
      path: "-",
      details: "-",
      status: 0,
    });
  });

  test("marks the end of an upgraded connection, and not its beginning", () => {
    expect(parse({ status: 101, type: "DownstreamEnd" })).toEqual({
      ...ENTRY,
      status: 101,
      endsUpgrade: true,
    });
    expect(parse({ status: 101, type: "DownstreamTunnelSuccessfullyEstablished" })).toEqual({
      ...ENTRY,
      status: 101,
    });
    expect(parse({ status: 200, type: "DownstreamEnd" })).toEqual({ ...ENTRY, status: 200 });
  });
});

test.each([
  "",
  "[2026-01-31 12:00:00.000][1][info] starting",
  "{not JSON}",
  "[1]",
  "null",
  ...["time", "method", "path", "status", "details"].map((name) => {
    const { [name as keyof typeof LINE]: _, ...rest } = LINE;
    return JSON.stringify(rest);
  }),
])("%j is not one", (line) => expect(parseAccessLog(line)).toBeUndefined());
