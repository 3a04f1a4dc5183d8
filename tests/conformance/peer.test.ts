/**
 * Policies on the peer, in proxies that show only its first names or one name: a request of an unknown peer
 * is never allowed.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import type { Host } from "../../tools/host/host.ts";
import type { ListenerOptions } from "../../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { compile } from "../../tools/targets/compile.ts";
import { MODULE } from "../support/envoy.ts";

const module = await WebAssembly.compile(readFileSync(MODULE));
const FAILED = { status: 500, details: "jwtgate_host_failure" };
const ALICE = "spiffe://cluster.local/ns/foo/sa/alice";

/** A policy that a `not` makes true for an unknown peer, if nothing prevents it. */
async function hostWith(more: Partial<Configuration> = {}, listener: ListenerOptions = {}): Promise<Host> {
  const policy = {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: "all-but-bob" },
    spec: { rules: [{ from: [{ source: { notPrincipals: ["cluster.local/ns/foo/sa/bob"] } }] }] },
  };
  const { configuration } = compile([{ name: "policy.yaml", text: JSON.stringify(policy) }], {
    target: "envoy",
  });
  const host = await createNodeHost(module);
  expect(host.configure({ ...configuration, ...more }, { listener })).toMatchObject({ accepted: true });
  return host;
}

describe("of an Envoy that shows only the first names in a certificate", () => {
  const outcome = async (uriSans: string[]) => {
    const host = await hostWith();
    return host.send({ tls: { peer: { subject: "CN=x", uriSans, dnsSans: ["x.example"] } } }).outcome;
  };

  test("the first URI is the peer", async () => {
    expect((await outcome([ALICE]))?.upstream).toBeDefined();
    expect((await outcome([ALICE.replace("alice", "bob")]))?.answer).toMatchObject({ status: 403 });
  });

  test("a certificate without a URI is an unknown peer", async () => {
    expect((await outcome([]))?.answer).toMatchObject(FAILED);
  });
});

describe("of a waypoint, which has the peer's name in filter state", () => {
  // The host puts the text of the peer's address there.
  const outcome = async (ip: string) => {
    const host = await hostWith({ peerPrincipal: "peer" }, { directRemoteAddressKey: "peer" });
    return host.send({ peer: { ip, port: 1 } }).outcome;
  };

  test("the name is the peer", async () => {
    expect((await outcome(ALICE))?.upstream).toBeDefined();
    expect((await outcome(ALICE.replace("alice", "bob")))?.answer).toMatchObject({ status: 403 });
  });

  test.each(["", "-"])("the name %j is an unknown peer", async (name) => {
    expect((await outcome(name))?.answer).toMatchObject(FAILED);
  });
});
