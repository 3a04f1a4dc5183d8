/** What `explain` says that a request had where a policy asks for something. */
import { describe, expect, test } from "vitest";
import type { Predicate } from "../../tools/config/schema.ts";
import { isAboutPeer, type SeenRequest, sawFor } from "../../tools/istio/attributes.ts";

/** A request that has nothing of what a predicate can ask for, but these. */
function seen({
  headers = {},
  properties = {},
  values = {},
  ...others
}: {
  headers?: Record<string, readonly string[] | "hidden">;
  properties?: Record<string, string>;
  values?: Record<string, readonly string[]>;
  claims?: SeenRequest["claims"];
  directPeer?: string;
}): SeenRequest {
  return {
    claims: undefined,
    directPeer: undefined,
    header: (name) => headers[name] ?? [],
    property: (path) => properties[path],
    values: (field) => values[field] ?? [],
    ...others,
  };
}

const exact = { exact: "a" };
const PORT = "\x90\x1f\0\0\0\0\0\0";
const certificate = ["spiffe://td/ns/a/sa/b", "a.example"];

describe("a request", () => {
  test.each<[Predicate, Parameters<typeof seen>[0], string]>([
    [{ path: exact }, { values: { path: ["/b"] } }, "the path is /b"],
    [{ path: exact }, {}, "the path is "],
    [{ host: exact }, { values: { host: ["b.example"] } }, "the host is b.example"],
    [{ host: exact }, {}, "the host is "],
    [{ method: exact }, { values: { method: ["PUT"] } }, "the method is PUT"],
    [{ method: exact }, {}, "the method is "],
    [{ header: "x-a", match: exact }, { headers: { "x-a": ["1"] } }, 'x-a is "1"'],
    [{ header: "x-a", match: exact }, { headers: { "x-a": ["1", "2"] } }, 'x-a is "1" and "2"'],
    [{ header: "x-a", match: exact }, { headers: { "x-b": ["1"] } }, "there is no header x-a"],
    [{ header: "x-a", match: exact }, { headers: { "x-a": "hidden" } }, "the header x-a is there"],
    [{ header: "x-a", match: exact }, { headers: { "x-a": ["1".repeat(98)] } }, `x-a is "${"1".repeat(98)}"`],
    [{ header: "x-a", match: exact }, { headers: { "x-a": ["1".repeat(99)] } }, `x-a is "${"1".repeat(96)}…`],
    [
      { header: "host", match: exact },
      { headers: { ":authority": ["b.example"], host: ["c"] } },
      'host is "b.example"',
    ],
    [{ claim: ["sub"], match: exact }, { claims: { sub: "b" } }, 'sub is "b"'],
    [{ claim: ["sub"], match: exact }, {}, "there is no verified token"],
    [{ destinationPort: 1 }, { properties: { "destination.port": PORT } }, "the listener's port is 8080"],
    [{ destinationPort: 1 }, {}, "the listener's port is unknown"],
    [{ destinationPort: 1 }, { properties: { "destination.port": "80" } }, "the listener's port is unknown"],
    [
      { destinationIp: "10.0.0.0/8" },
      { properties: { "destination.address": "10.1.2.3:80" } },
      "the listener is 10.1.2.3:80",
    ],
    [{ destinationIp: "10.0.0.0/8" }, {}, "the listener is unknown"],
    [{ sourceIp: "10.0.0.0/8" }, { directPeer: "192.0.2.1" }, "the peer is 192.0.2.1"],
    [{ sourceIp: "10.0.0.0/8" }, {}, "the peer is unknown"],
    [
      { remoteIp: "10.0.0.0/8" },
      { properties: { "source.address": "192.0.2.1:1" } },
      "the client is 192.0.2.1:1",
    ],
    [{ remoteIp: "10.0.0.0/8" }, {}, "the client is unknown"],
    [{ sni: exact }, { values: { sni: ["a.example"] } }, "the server name is a.example"],
    [{ sni: exact }, {}, "there is no TLS server name"],
    [
      { principal: exact },
      { values: { peer: certificate } },
      "the client's certificate has spiffe://td/ns/a/sa/b, a.example",
    ],
    [{ peer: ["", ""] }, {}, "there is no client certificate"],
    [{ trustDomain: ["a", ""] }, { values: { peer: ["x"] } }, "the client's certificate has x"],
    [{ serviceAccount: { namespace: "a", name: "b" } }, {}, "there is no client certificate"],
  ])("%j of %j: %s", (predicate, request, text) => expect(sawFor(predicate, seen(request))).toBe(text));
});

test("a predicate is about the peer or the request", () => {
  expect(isAboutPeer({ principal: exact })).toBe(true);
  expect(isAboutPeer({ peer: ["", ""] })).toBe(true);
  expect(isAboutPeer({ trustDomain: ["a", ""] })).toBe(true);
  expect(isAboutPeer({ serviceAccount: { namespace: "a", name: "b" } })).toBe(true);
  expect(isAboutPeer({ path: exact })).toBe(false);
  expect(isAboutPeer({ sourceIp: "10.0.0.0/8" })).toBe(false);
});
