/** The servers of keys: their clusters in a bootstrap and in a mesh, and the URLs that are not fetched. */
import { describe, expect, test } from "vitest";
import {
  bootstrapCluster,
  isLoopback,
  isMetadataService,
  meshCluster,
  meshHost,
  requestUrl,
} from "../../tools/jwks/source.ts";

test.each([
  ["https://a.example/jwks", "jwks|443|a.example"],
  ["http://a.example/jwks", "jwks|80|a.example"],
  ["http://a.example:8080/jwks", "jwks|8080|a.example"],
  ["https://[2001:db8::1]:8443/", "jwks|8443|2001:db8::1"],
])("the cluster of %s in a bootstrap is %s", (url, name) =>
  expect(bootstrapCluster(new URL(url))).toBe(name),
);

test.each<[string, string | undefined]>([
  ["https://a.example/jwks?b=c", "https://a.example/jwks?b=c"],
  ["http://a.example", "http://a.example"],
  ["https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"],
  ["https://a.example/ü", "https://a.example/%C3%BC"],
  ["https://a.example/x y", "https://a.example/x%20y"],
  ["HTTPS://A.example/x", "https://a.example/x"],
  ["https://a.example/x#part", "https://a.example/x#part"],
  ["https://a.example/ü#part", "https://a.example/%C3%BC"],
  ["https://a.example/?a=\\", "https://a.example/?a=\\"],
  ["https:/a.example", undefined],
  ["https:///a.example", undefined],
  [" https://a.example", undefined],
  ["https://?a", undefined],
  ["https://a.example\\b", undefined],
  ["https://a.example:0/", undefined],
  ["https://a.example:99999/", undefined],
  ["ftp://a.example/", undefined],
])("%s is requested as %s", (text, url) => expect(requestUrl(text)).toBe(url));

describe("in a mesh", () => {
  const external = (host: string, port: number, address: string, own: number) => ({
    host,
    port,
    inMesh: false,
    endpoint: { address, port: own },
  });
  test.each<[string, object]>([
    ["http://keys/", { host: "keys.foo.svc.cluster.local", port: 80, inMesh: true }],
    ["http://keys.bar.svc:8080/", { host: "keys.bar.svc.cluster.local", port: 8080, inMesh: true }],
    ["http://keys.bar.svc.cluster.local./", { host: "keys.bar.svc.cluster.local", port: 80, inMesh: true }],
    [
      "https://keys/",
      external("keys.foo.svc.cluster.local.jwtgate.internal", 443, "keys.foo.svc.cluster.local", 443),
    ],
    ["http://a.example/", { host: "a.example", port: 80, inMesh: false }],
    ["https://a.example/", external("a.example", 10_443, "a.example", 443)],
    ["https://a.example:55535/", external("a.example", 65_535, "a.example", 55_535)],
    ["https://a.example:55536/", external("a.example", 45_536, "a.example", 55_536)],
    ["http://10.0.0.1:81/", external("jwks-10-0-0-1.jwtgate.internal", 81, "10.0.0.1", 81)],
    ["http://[::1]/", external("jwks-0--1.jwtgate.internal", 80, "::1", 80)],
    ["http://[fd00::]/", external("jwks-fd00--0.jwtgate.internal", 80, "fd00::", 80)],
  ])("%s", (url, host) => expect(meshHost(new URL(url), "foo")).toEqual(host));

  test("a host that is already in the mesh gets another name", () => {
    const expected = external("a.example.jwtgate.internal", 443, "a.example", 443);
    expect(meshHost(new URL("https://a.example/"), "foo", true)).toEqual(expected);
  });

  test("the cluster has Istio's name", () => {
    expect(meshCluster(new URL("http://keys/"), "foo")).toBe("outbound|80||keys.foo.svc.cluster.local");
  });
});

describe("a URL of the machine itself or of a cloud", () => {
  const METADATA = [
    "169.254.169.254",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[::ffff:169.254.169.254]",
    "[::169.254.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[::ffff:0:a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "METADATA.google.internal.",
    "metadata",
    "instance-data",
  ];
  const LOOPBACK = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[2002:7f00:1::]",
  ];
  const NAMED = ["localhost", "a.localhost", "LOCALHOST."];
  const OTHERS = [
    "10.0.0.1",
    "169.253.0.1",
    "100.100.100.201",
    "[2001:db8::1]",
    "[2002:a00:1::]",
    "a.example",
  ];
  const at = (host: string) => new URL(`http://${host}/`);

  test.each(METADATA)("%s is a metadata service", (host) => {
    expect([isMetadataService(at(host)), isLoopback(at(host))]).toEqual([true, false]);
  });
  test.each([...LOOPBACK, ...NAMED])("%s is the machine itself", (host) => {
    expect([isMetadataService(at(host)), isLoopback(at(host))]).toEqual([false, true]);
  });
  test.each(OTHERS)("%s is neither", (host) => {
    expect([isMetadataService(at(host)), isLoopback(at(host))]).toEqual([false, false]);
  });
});
