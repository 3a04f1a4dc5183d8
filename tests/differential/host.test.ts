/**
 * The project's own proxy-wasm host against the real Envoy: the same module (tests/support/guest/probe.ts) makes the
 * same host calls in both and logs the results. Log lines, answers and forwarded requests must be the same.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Envoy } from "../../tools/envoy/process.ts";
import type { Host, Outcome } from "../../tools/host/host.ts";
import type { PathNormalization } from "../../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { cluster, listener, type Mode } from "../../tools/render/bootstrap.ts";
import { compileAssembly } from "../support/assembly.ts";
import { whole } from "../support/configuration.ts";
import { DETAILS_HEADER, startEnvoy, tellDetails, wasmPlugin } from "../support/envoy.ts";
import { Http1Client, type Http1Request, type Http1Response, headerOf } from "../support/http1.ts";
import { type Received, receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

/** Listeners, each with another configuration of the connection manager. */
const LISTENERS: Record<string, { mode: Mode; pathNormalization: PathNormalization }> = {
  base: { mode: "gateway", pathNormalization: "BASE" },
  none: { mode: "gateway", pathNormalization: "NONE" },
  merge: { mode: "gateway", pathNormalization: "MERGE_SLASHES" },
  decode: { mode: "gateway", pathNormalization: "DECODE_AND_MERGE_SLASHES" },
  sidecar: { mode: "sidecar", pathNormalization: "BASE" },
};

/** The key of the filter state that holds the direct peer. */
const PEER_KEY = "probe.peer";

let folder: string;
let upstream: Upstream;
let envoy: Envoy;
let host: Host;
const ports = new Map<string, number>();
const lines: string[] = [];
let newLine: () => void = () => {};
/** Envoy's own address, which a gateway appends to X-Forwarded-For for a peer on the loopback. */
let localAddress: string;

beforeAll(async () => {
  const wasm = await compileAssembly("tests/support/guest/probe.ts");
  folder = mkdtempSync(join(tmpdir(), "jwtgate-probe-"));
  const module = join(folder, "probe.wasm");
  writeFileSync(module, wasm);
  upstream = await startUpstream();
  envoy = await startEnvoy(
    {
      listeners: Object.entries(LISTENERS).map(([name, options]) => probeListener(name, module, options)),
      clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } })],
    },
    {
      componentLogLevel: "wasm:info",
      onLine: (line) => {
        const message = /wasm log (?:jwtgate )?\w+ jwtgate: (.*)$/.exec(line)?.[1];
        if (message === undefined) return;
        lines.push(message);
        newLine();
      },
    },
  );
  host = await createNodeHost(wasm, {
    vmId: "jwtgate",
    clusters: ["upstream"],
    fetch: () => new Promise(() => {}),
  });
  for (const name of Object.keys(LISTENERS)) ports.set(name, await envoy.portOf(name));
  const [{ upstream: calibration }] = await sendToEnvoy("base", { headers: [["X-Forwarded-For", "x"]] });
  const { headers } = calibration as Received;
  localAddress = headers.find(([name]) => name === "x-forwarded-for")?.[1].split(",")[1] ?? "";
  for (const [name, { mode, pathNormalization }] of Object.entries(LISTENERS)) {
    const address = { ip: "127.0.0.1", port: port(name) };
    const options = { mode, pathNormalization, address, localAddress, directRemoteAddressKey: PEER_KEY };
    host.configure("", { name, pluginName: "jwtgate", rootId: name, listener: options });
  }
});

afterAll(async () => {
  await envoy?.stop();
  await upstream?.close();
  rmSync(folder, { recursive: true });
});

/** The project's listener with the probe in place of the filter. */
function probeListener(
  name: string,
  module: string,
  options: { mode: Mode; pathNormalization: PathNormalization },
) {
  const result = listener({
    name,
    address: { host: "127.0.0.1", port: 0 },
    module,
    configuration: whole({ directRemoteAddress: PEER_KEY }),
    cluster: "upstream",
    accessLog: false,
    ...options,
  });
  const plugin = wasmPlugin(result);
  // A different configuration for each; otherwise Envoy would let two plugins share one root context.
  plugin["configuration"] = {
    "@type": "type.googleapis.com/google.protobuf.StringValue",
    value: `random 0${"|random 0".repeat(Object.keys(LISTENERS).indexOf(name))}`,
  };
  plugin["root_id"] = name;
  return tellDetails(result);
}

function port(name: string): number {
  const found = ports.get(name);
  if (found === undefined) throw new Error(`no listener ${name}`);
  return found;
}

/** What a client and a backend saw, and what the module logged, in the same form for both hosts. */
interface Seen {
  answer?: unknown;
  upstream?: unknown;
  logs: string[];
}

/** Results of host calls are in hexadecimal; random ids are all replaced by the same text. */
function readable(line: string): string {
  return line.replace(/\b([0-9a-f]{2}){2,}\b/g, (hex) =>
    Buffer.from(hex, "hex")
      .toString("latin1")
      .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UUID"),
  );
}

/** Headers that do not depend on a decision. */
const IGNORED = /^(date|server|x-request-id|x-envoy-.*|x-forwarded-proto|transfer-encoding)$/;

/** Sends a request to Envoy, and waits until the module knows that its stream has ended, also for a refused one. */
async function sendToEnvoy(name: string, request: Http1Request): Promise<[Seen, number]> {
  lines.length = 0;
  const client = new Http1Client({ host: "127.0.0.1", port: port(name) });
  try {
    const response = await client.request(request);
    const { localPort } = client;
    while (lines.at(-1) !== "delete") {
      await new Promise<void>((resolve) => {
        newLine = resolve;
      });
    }
    return [{ ...seenBy(response), logs: lines.map(readable) }, localPort];
  } finally {
    client.close();
  }
}

function seenBy(response: Http1Response): Omit<Seen, "logs"> {
  const received = receivedOf(response);
  if (received !== undefined) {
    return { upstream: { ...received, headers: received.headers.filter(([key]) => !IGNORED.test(key)) } };
  }
  const { status, body } = response;
  const headers = response.headers.filter(
    ([key]) => !IGNORED.test(key) && key !== DETAILS_HEADER && key !== "connection",
  );
  return { answer: { status, headers: headers.sort(), body, details: headerOf(response, DETAILS_HEADER) } };
}

async function sendToHost(name: string, request: Http1Request, localPort: number): Promise<Seen> {
  host.logs.length = 0;
  const outcome = await host.request({ ...request, peer: { ip: "127.0.0.1", port: localPort } }, name);
  return { ...seenIn(outcome), logs: host.logs.map(({ message }) => readable(message)) };
}

function seenIn({ answer, upstream: forwarded }: Outcome): Omit<Seen, "logs"> {
  return answer === undefined
    ? { upstream: forwarded }
    : { answer: { ...answer, headers: [...answer.headers].sort() } };
}

async function compare(name: string, request: Http1Request): Promise<Seen> {
  const [envoySaw, localPort] = await sendToEnvoy(name, request);
  const hostSaw = await sendToHost(name, request, localPort);
  expect(hostSaw).toEqual(envoySaw);
  return envoySaw;
}

/** A request whose header contains the probe's task. */
const doing = (operations: string, request: Http1Request = {}): Http1Request => ({
  path: "/some/path?query=1",
  ...request,
  headers: [...(request.headers ?? []), ["x-do", operations]],
});

const DUPLICATES: [string, string][] = [
  ["X-A", "1"],
  ["x-a", " 2 "],
  ["Authorization", "Basic a"],
  ["authorization", "Bearer b"],
  ["Cookie", "a=1"],
  ["cookie", "b=2"],
  ["Accept", ""],
  ["Accept", "x"],
  ["user-agent", "u"],
  ["User-Agent", ""],
  ["x-bytes", "\xe9\x80"],
];

describe("the host gives a module what Envoy gives it", () => {
  test.each<[string, Http1Request]>([
    [
      "header pairs",
      doing("pairs 0|map-size 0|pairs 1|pairs 2|pairs 6|pairs 7|pairs 8|map-size 2", { headers: DUPLICATES }),
    ],
    [
      "single headers",
      doing("get 0 x-a|get 0 AUTHORIZATION|get 0 host|get 0 :authority|get 0 none|get 2 x|get 9 x", {
        headers: DUPLICATES,
      }),
    ],
    [
      "adding headers",
      doing("add 0 X-New 1|add 0 x-new 2|add 0 Origin a|add 0 origin b|add 2 x y|pairs 0", {}),
    ],
    [
      "replacing headers",
      doing("replace 0 x-a new|replace 0 :path /else|replace 0 X-None n|pairs 0", { headers: DUPLICATES }),
    ],
    [
      "removing headers",
      doing("remove 0 X-A|remove 0 authorization|remove 0 none|pairs 0", { headers: DUPLICATES }),
    ],
    [
      "setting all headers",
      doing(
        "set-pairs 0 :method GET :path /p :authority a x-c 1 :scheme http x-c 2 x-forwarded-proto http|pairs 0",
      ),
    ],
    ["removing the host", doing("replace 0 host else|pairs 0")],
    [
      "request properties",
      doing(
        "property request.path|property request.url_path|property request.query|property request.host|property request.scheme|property request.method|property request.referer|property request.useragent|property request.protocol|property request.size|property request.headers.x-a|property request.none",
        { headers: DUPLICATES },
      ),
    ],
    ["a request's id", doing("property request.id")],
    ["whole maps", doing("property request|property source|property connection|property filter_state")],
    [
      "properties of a body",
      doing("property request.size|property request.path", { method: "POST", body: "body" }),
    ],
    [
      "connection properties",
      doing(
        "property source.address|property source.port|property destination.address|property destination.port|property connection.mtls|property connection.requested_server_name|property connection.tls_version|property connection.uri_san_peer_certificate|property connection.peer_certificate|property connection.subject_peer_certificate",
      ),
    ],
    [
      "the plugin's properties",
      doing(
        "property plugin_name|property plugin_vm_id|property listener_direction|property none|property none.other",
      ),
    ],
    [
      "filter state",
      doing(
        "property filter_state.probe,peer|property filter_state.none|set-property own value|property own|property filter_state.wasm,own|set-property own else|property own|property wasm,own",
      ),
    ],
    [
      "buffers",
      doing(
        "buffer 0 0 10|buffer 4 0 10|buffer 6 0 10|buffer 7 0 10|buffer 8 0 10|buffer 9 0 10|buffer-status 0|buffer-status 7",
      ),
    ],
    ["a body", doing("buffer 0 0 10", { method: "POST", body: "the body" })],
    ["addresses outside the memory", doing("outside")],
    ["foreign functions", doing("foreign none x|foreign verify_signature x|foreign verify_signature ")],
    [
      "metrics",
      doing(
        "metric 0 c1 2 3|metric 0 c1 0 1|metric 0 c2 -1 1|metric 1 g1 5 7|metric 1 g2 -1 0|metric 2 h1 1 9|metric 7 x 1 1",
      ),
    ],
    [
      "shared data",
      doing("fetch none|store k1 v1 0|fetch k1|store k1 v2 99|store k1 v2 0|fetch k1|store k2 v 5"),
    ],
    ["contexts", doing("effective 999|effective 1|property request.path|done")],
    ["randomness and environment", doing("random 8|random 0|environment")],
    ["calls to unknown clusters", doing("call none /x 100")],
    ["a call that waits for nothing", doing("call upstream /x -1|status")],
  ])("%s", async (_name, request) => {
    await compare("base", request);
  });

  test.each<[string, Http1Request]>([
    ["plain", doing("local 403 -1 some_details no_way x-a 1 X-B 2 x-a 3")],
    ["without a body", doing("local 401 -1 d")],
    ["without a body, to HEAD", doing("local 401 -1 d", { method: "HEAD" })],
    ["with a content type", doing("local 401 -1 d {} content-type application/json")],
    ["with a wrong length", doing("local 401 -1 d body content-length 99")],
    ["twice", doing("local 401 -1 d first|local 403 -1 d second")],
    ["and the request continues", doing("local 200 -1 d|continue 0")],
    ["to HEAD", doing("local 403 -1 d body www-authenticate x", { method: "HEAD" })],
    ["with a gRPC status, to none of gRPC", doing("local 403 5 d body")],
    ...(
      [
        ["401", "-1"],
        ["403", "-1"],
        ["500", "-1"],
        ["503", "-1"],
        ["429", "-1"],
        ["404", "-1"],
        ["400", "-1"],
        ["418", "-1"],
        ["403", "0"],
        ["403", "8"],
      ] as const
    ).map(([status, grpcStatus]): [string, Http1Request] => [
      `${status} with gRPC status ${grpcStatus}`,
      doing(`local ${status} ${grpcStatus} d RBAC:_100%_denied x-a 1`, {
        method: "POST",
        headers: [["content-type", "application/grpc"]],
      }),
    ]),
    ...[
      "application/grpc+proto",
      "application/grpc-web",
      "APPLICATION/GRPC",
      "application/grpc;a",
      "application/json",
    ].map((type): [string, Http1Request] => [
      `to ${type}`,
      doing("local 403 -1 d body", { method: "POST", headers: [["Content-Type", type]] }),
    ]),
    [
      "to gRPC by HEAD",
      doing("local 403 -1 d body", { method: "HEAD", headers: [["content-type", "application/grpc"]] }),
    ],
    ["to gRPC without a body", doing("local 403 -1 d", { headers: [["content-type", "application/grpc"]] })],
  ])("local response %s", async (_name, request) => {
    await compare("base", request);
  });

  test("a held request that a tick continues", async () => {
    const request = doing("hold|effective 1|tick 5");
    const [envoySaw, localPort] = await sendToEnvoy("base", request);
    host.logs.length = 0;
    const stream = host.send({ ...request, peer: { ip: "127.0.0.1", port: localPort } }, "base");
    expect(stream.outcome).toBeUndefined();
    host.tick();
    expect(seenIn(await stream.decided).upstream).toEqual(envoySaw.upstream);
  });
});

describe("the host's connection manager does what Envoy's does", () => {
  const paths = (mode: string): string[] => {
    const bytes = Array.from({ length: 0x5f }, (_, i) => String.fromCharCode(0x20 + i));
    return [
      ...bytes.filter((character) => character !== " ").map((character) => `/a${character}b`),
      ...Array.from({ length: 256 }, (_, i) => `/a%${i.toString(16).padStart(2, "0")}b`),
      ..."/ // /. /.. /./ /../ /a/./b /a/../b /a/.. /a/../ /a/. /../a /a//b /a//../b /a/%2e%2e/b /a/%2E/b /a/.%2e/b".split(
        " ",
      ),
      ..."/%2e /%2e%2e /a%2Fb /a%2fb /a%5Cb /a%5c..%5cb /a%2f%2e%2e%2fb /a\\b /a\\..\\b \\a /a/...  /.../b /a/.b /a/..b".split(
        " ",
      ),
      ..."/% /%2 /%zz /%2g /a%%41 /%25 /%2541 /%C3%A9 /%c3%a9 /a?b=/../c&d=%41 /a?x#y /a#b?c /a?? /?".split(
        " ",
      ),
      ..."/a;b=c/d /a//b//c?d//e /a%2F%2Fb /a/%2F/../b * a a/b http://h/p http://h /é /a\x7fb /a?\x7f".split(
        " ",
      ),
      ..."/a/b/../../.. /a/b/../../../c //a /./a //../a /a/%2e%2e%2f /A%41".split(" "),
    ].filter((path) => path !== "" && (mode === "base" || path.length > 0));
  };

  test.each(Object.keys(LISTENERS))("paths: %s", async (name) => {
    const differences: string[] = [];
    for (const path of paths(name)) {
      const [envoySaw, localPort] = await sendToEnvoy(name, { path });
      const hostSaw = await sendToHost(name, { path }, localPort);
      const [expected, actual] = [envoySaw, hostSaw].map(({ answer, upstream: received }) =>
        JSON.stringify({ answer, received }),
      );
      if (expected !== actual) differences.push(`${path}: ${actual} instead of ${expected}`);
    }
    expect(differences).toEqual([]);
  });

  test.each([
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "FOO",
    "get",
    "PURGE",
    "PROPFIND",
    "M-SEARCH",
    "QUERY",
    "SOURCE",
    "PRI",
  ])("method %s", async (method) => {
    const [envoySaw, localPort] = await sendToEnvoy("base", { method });
    const hostSaw = await sendToHost("base", { method }, localPort);
    expect({ ...hostSaw, logs: [] }).toEqual({ ...envoySaw, logs: [] });
  });

  test.each([
    "x-a",
    "authorization",
    "te",
    "cookie, x-a,close",
    "host",
    ":path",
    "x-forwarded-for",
    "X-Forwarded-Proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-request-id",
    "keep-alive",
    "content-type",
  ])("headers nominated by Connection: %s", async (names) => {
    const headers: [string, string][] = [
      ["Connection", names],
      ["x-a", "1"],
      ["authorization", "a"],
      ["cookie", "c"],
      ["content-type", "t"],
      ["x-forwarded-for", "1.2.3.4"],
      ["te", "trailers"],
    ];
    const [envoySaw, localPort] = await sendToEnvoy("base", { headers });
    const hostSaw = await sendToHost("base", { headers }, localPort);
    expect({ ...hostSaw, logs: [] }).toEqual({ ...envoySaw, logs: [] });
  });

  test.each<[string, [string, string][]]>([
    ["none", []],
    ["one", [["X-Forwarded-For", "203.0.113.7"]]],
    ["two", [["X-Forwarded-For", "203.0.113.7, 10.1.2.3"]]],
    [
      "two headers",
      [
        ["X-Forwarded-For", "203.0.113.7"],
        ["x-forwarded-for", "10.1.2.3"],
      ],
    ],
    ["junk", [["X-Forwarded-For", "abc"]]],
    ["junk at the end", [["X-Forwarded-For", "203.0.113.7, abc"]]],
    ["v6", [["X-Forwarded-For", "2001:db8::1"]]],
    ["v6 in brackets", [["X-Forwarded-For", "[2001:db8::1]"]]],
    ["v6 with port", [["X-Forwarded-For", "[2001:db8::1]:80"]]],
    ["with port", [["X-Forwarded-For", "203.0.113.7:1234"]]],
    ["empty", [["X-Forwarded-For", ""]]],
    ["ends in a comma", [["X-Forwarded-For", "203.0.113.7,"]]],
    ["leading zeros", [["X-Forwarded-For", "203.000.113.007"]]],
    ["three parts", [["X-Forwarded-For", "1.2.3"]]],
    ["proto", [["X-Forwarded-Proto", "https"]]],
    [
      "hop by hop",
      [
        ["Connection", "x-a"],
        ["Keep-Alive", "1"],
        ["Proxy-Connection", "x"],
        ["x-a", "1"],
        ["te", "trailers"],
      ],
    ],
  ])("X-Forwarded-For: %s", async (_name, headers) => {
    for (const name of ["base", "sidecar"]) {
      await compare(
        name,
        doing("pairs 0|property source.address|property filter_state.probe,peer", { headers }),
      );
    }
  });

  const upgrade = (type: string, ...more: [string, string][]): [string, string][] => [
    ["Connection", "Upgrade"],
    ["Upgrade", type],
    ...more,
  ];

  /** If Envoy refuses a request before the filter, it still calls the module at the end of the stream. */
  const compareRefusal = async (request: Http1Request): Promise<void> => {
    const [envoySaw, localPort] = await sendToEnvoy("base", request);
    expect(envoySaw.logs).toEqual(["log", "done", "delete"]);
    expect(await sendToHost("base", request, localPort)).toEqual({ ...envoySaw, logs: [] });
  };

  test.each<[string, Http1Request]>([
    ["to a WebSocket", { headers: upgrade("websocket") }],
    ["in capitals", { headers: upgrade("WebSocket") }],
    [
      "among other names, which then stay",
      {
        headers: [
          ["connection", "keep-alive, uPGRADE , x-a, te"],
          ["upgrade", "websocket"],
          ["x-a", "1"],
          ["te", "trailers"],
          ["keep-alive", "5"],
          ["proxy-connection", "x"],
        ],
      },
    ],
    [
      "next to a name that cannot be nominated",
      {
        headers: [
          ["connection", "upgrade, x-forwarded-for"],
          ["upgrade", "websocket"],
        ],
      },
    ],
    ["without Connection", { headers: [["Upgrade", "websocket"]] }],
    ["without Upgrade", { headers: [["Connection", "upgrade"]] }],
    ["of a POST without a body", { method: "POST", headers: upgrade("websocket") }],
    ["to h2c", { headers: upgrade("H2c", ["HTTP2-Settings", "AAMAAABkAAQAAP__"]) }],
    [
      "to h2c, as curl asks for it",
      {
        headers: [
          ["Connection", "Upgrade, HTTP2-Settings, x-a"],
          ["Upgrade", "h2c"],
          ["HTTP2-Settings", "AAMAAABkAAQAAP__"],
          ["x-a", "1"],
        ],
      },
    ],
  ])("an upgrade %s", async (_name, request) => {
    for (const name of ["base", "sidecar"]) {
      await compare(name, doing("pairs 0", { path: "/ws?a=1", ...request }));
      await compare(name, doing("local 403 -1 some_details no", { path: "/ws?a=1", ...request }));
    }
  });

  test("an upgrade with a body that the filter refuses", async () => {
    const headers = upgrade("websocket");
    await compare("base", doing("local 403 -1 some_details no", { method: "POST", body: "body", headers }));
  });

  test.each<[string, Http1Request]>([
    ["another protocol", { headers: upgrade("chat") }],
    ["one of two", { headers: upgrade("websocket, chat") }],
    ["two headers", { headers: upgrade("websocket", ["Upgrade", "chat"]) }],
    ["none", { headers: upgrade("") }],
    ["a HEAD request", { method: "HEAD", headers: upgrade("chat") }],
    ["gRPC", { method: "POST", headers: upgrade("chat", ["content-type", "application/grpc"]) }],
    ["a path that is refused first", { path: "/%00", headers: upgrade("chat") }],
  ])("an upgrade that the listener does not allow never reaches the filter: %s", async (_, request) => {
    await compareRefusal(doing("pairs 0", request));
  });

  test.each<[string, Http1Request]>([
    ["an authority", { path: "h:443", authority: "h:443" }],
    ["another Host", { path: "h:443", authority: "k:1" }],
    ["an IPv6 address", { path: "[::1]:443", authority: "[::1]:443" }],
    ["an upgrade as well", { path: "h:443", headers: upgrade("websocket") }],
    ["an upgrade to another protocol", { path: "h:443", headers: upgrade("chat") }],
    ["no length", { path: "h:443", headers: [["content-length", "0"]] }],
    ["gRPC", { path: "h:443", headers: [["content-type", "application/grpc"]] }],
  ])("CONNECT reaches the filter, and is not forwarded: %s", async (_, request) => {
    for (const name of ["base", "none", "sidecar"]) {
      const seen = await compare(name, doing("pairs 0", { method: "CONNECT", ...request }));
      expect(seen.answer).toMatchObject({ details: "route_not_found" });
      await compare(name, doing("local 403 -1 some_details no", { method: "CONNECT", ...request }));
    }
  });

  test.each<[string, Http1Request]>([
    ["a path", { path: "/" }],
    ["no port", { path: "h" }],
    ["an empty port", { path: "h:" }],
    ["a user", { path: "u@h:443" }],
    ["a URL", { path: "http://h:443/" }],
    ["a path after the port", { path: "h:443/a" }],
    ["a port of letters", { path: "h:https" }],
    ["a port out of range", { path: "h:99999" }],
    ["no host", { path: ":443" }],
    ["an asterisk", { path: "*" }],
    ["a body", { path: "h:443", body: "body" }],
  ])("CONNECT that the codec refuses: %s", async (_, request) => {
    await compareRefusal(doing("pairs 0", { method: "CONNECT", ...request }));
  });
});
