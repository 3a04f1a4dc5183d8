/**
 * ServiceEntries, DestinationRules and Services of the input: which cluster leads to a server of keys, and
 * which resources are missing.
 */
import { load, loadAll } from "js-yaml";
import { describe, expect, test } from "vitest";
import { compile } from "../../tools/targets/compile.ts";
import { targetOf } from "../../tools/targets/index.ts";

const policy = (jwksUri: string, namespace = "foo") => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: ${namespace}}
spec: {jwtRules: [{issuer: "https://issuer.example", jwksUri: "${jwksUri}"}]}
---
`;

interface Written {
  kind: string;
  spec: { hosts?: string[]; host?: string };
}

/**
 * @returns the cluster, the resources that are written for it, and warnings and errors without their
 * positions
 */
function compiled(jwksUri: string, resources: string, namespace = "foo") {
  const files = [{ name: "a.yaml", text: policy(jwksUri) + resources }];
  const { workloads, diagnostics } = compile(files, {
    target: "wasmplugin",
    namespace,
    labels: { app: "x" },
  });
  const image = "oci://registry.example/jwtgate:1";
  const [workload] = workloads;
  const target = targetOf("wasmplugin");
  const never = () => {
    throw new Error("no file is needed");
  };
  const text =
    workload === undefined
      ? ""
      : target.render(
          workloads,
          { image, mode: "gateway" } as never,
          {
            module: "",
            exists: never,
            resolve: never,
            read: never,
          } as never,
        ).text;
  const written = (loadAll(text) as Written[]).filter(({ kind }) => kind !== "WasmPlugin");
  return {
    cluster: workload?.configuration.providers?.[0]?.remoteJwks?.cluster,
    written: written.map(({ kind, spec }) => `${kind} ${spec.host ?? spec.hosts?.join()}`),
    messages: diagnostics
      .map(({ severity, message }) => `${severity}: ${message}`)
      .filter((message) => !message.includes("TCP ports")),
  };
}

const entry = (spec: string, namespace = "foo") => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: keys, namespace: ${namespace}}
spec: {hosts: [keys.example], ${spec}}
---
`;
const rule = (policy: string, { host = "keys.example", namespace = "foo", more = "" } = {}) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tls, namespace: ${namespace}}
spec: {host: "${host}", ${more} trafficPolicy: ${policy}}
---
`;
const service = (spec: string) => `
apiVersion: v1
kind: Service
metadata: {name: idp, namespace: foo}
spec: ${spec}
---
`;

const HTTPS = "resolution: DNS, ports: [{number: 443, name: https, protocol: HTTPS}]";
const SIMPLE = "{tls: {mode: SIMPLE, sni: keys.example}}";

describe("a host that a ServiceEntry covers gets no second one", () => {
  test.each([
    [
      "plain HTTP",
      "http://keys.example/k",
      entry("resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]"),
      "80",
    ],
    ["TLS of a DestinationRule", "https://keys.example/k", entry(HTTPS) + rule(SIMPLE), "443"],
    [
      "TLS to the target port of another (Istio's guide to TLS origination)",
      "https://keys.example/k",
      entry("resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]") +
        rule("{portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}"),
      "80",
    ],
    [
      "TLS to the port of an endpoint",
      "https://keys.example:8443/k",
      entry(
        "resolution: STATIC, ports: [{number: 9000, name: http}], endpoints: [{address: 192.0.2.1, ports: {http: 8443}}]",
      ) + rule("{tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k}}"),
      "9000",
    ],
    [
      "a rule for more hosts",
      "https://keys.example/k",
      entry(HTTPS) + rule(SIMPLE, { host: "*.example" }),
      "443",
    ],
    [
      "another namespace",
      "https://keys.example/k",
      entry(HTTPS, "egress") + rule(SIMPLE, { namespace: "egress" }),
      "443",
    ],
    [
      "the port of two",
      "https://KEYS.example/k",
      entry(`${HTTPS.slice(0, -1)}, {number: 80, name: http}]`) + rule(SIMPLE),
      "443",
    ],
  ])("%s", (_, uri, resources, port) => {
    expect(compiled(uri, resources)).toEqual({
      cluster: `outbound|${port}||keys.example`,
      written: [],
      messages: [],
    });
  });

  test.each([
    [
      "a host in capitals, with a dot at its end",
      "https://keys.example./k",
      entry(HTTPS).replace("keys.example", "Keys.Example") + rule(SIMPLE, { host: "KEYS.example" }),
      "443",
    ],
    [
      "a port of its own before one that leads to it",
      "https://keys.example/k",
      entry("resolution: DNS, ports: [{number: 80, name: a, targetPort: 443}, {number: 443, name: b}]") +
        rule(SIMPLE),
      "443",
    ],
    [
      "the port of the two whose rule makes TLS",
      "https://keys.example/k",
      entry("resolution: DNS, ports: [{number: 443, name: b}, {number: 80, name: a, targetPort: 443}]") +
        rule("{portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}"),
      "80",
    ],
    [
      "a port next to others",
      "http://keys.example:8080/k",
      entry("resolution: DNS, ports: [{name: none}, {number: 80, name: a}, {number: 8080, name: b}]"),
      "8080",
    ],
    [
      "one of two ServiceEntries, which is exported",
      "http://keys.example/k",
      entry(`exportTo: ["."], resolution: DNS, ports: [{number: 80, name: a}]`, "egress") +
        entry(`exportTo: [foo, "bar"], resolution: DNS, ports: [{number: 80, name: a}]`, "other"),
      "80",
    ],
    [
      "one for its own namespace",
      "http://keys.example/k",
      entry(`exportTo: ["."], resolution: DNS, ports: [{number: 80, name: a}]`),
      "80",
    ],
    [
      "a rule for these proxies",
      "https://keys.example/k",
      entry(HTTPS) + rule(SIMPLE, { more: "workloadSelector: {matchLabels: {app: x}}," }),
      "443",
    ],
    [
      "a rule for this host, after some for others",
      "https://keys.example/k",
      entry(HTTPS) +
        rule("{tls: {mode: DISABLE}}", { host: "other.example" }) +
        rule("{tls: {mode: DISABLE}}", { host: "*.other" }) +
        rule("{tls: {mode: DISABLE}}", { more: 'exportTo: ["bar"],' }) +
        rule(SIMPLE),
      "443",
    ],
    [
      "the longer of two patterns",
      "https://keys.example/k",
      entry(HTTPS) +
        rule("{tls: {mode: DISABLE}}", { host: "*" }) +
        rule(SIMPLE, { host: "*.example" }) +
        rule("{tls: {mode: DISABLE}}", { host: "*e" }),
      "443",
    ],
    [
      "the host before a pattern that is as long",
      "https://keys.example/k",
      entry(HTTPS) + rule(SIMPLE) + rule("{tls: {mode: DISABLE}}", { host: "*eys.example" }),
      "443",
    ],
    [
      "a rule of the root namespace, after those of others",
      "https://keys.example/k",
      entry(HTTPS, "egress") +
        rule("{tls: {mode: DISABLE}}", { namespace: "unrelated" }) +
        rule(SIMPLE, { namespace: "istio-system" }),
      "443",
    ],
  ])("%s", (_, uri, resources, port) => {
    expect(compiled(uri, resources)).toEqual({
      cluster: `outbound|${port}||keys.example`,
      written: [],
      messages: [],
    });
  });

  test("a rule of the client's namespace comes before one of the host's, and a longer host before a shorter", () => {
    const off = rule("{tls: {mode: DISABLE}}");
    const there = entry(HTTPS, "egress") + rule(SIMPLE, { namespace: "egress" });
    expect(compiled("https://keys.example/k", off + there).messages).toEqual([
      expect.stringContaining("no DestinationRule has the proxy speak TLS to its port 443"),
    ]);
    const wide = rule("{tls: {mode: DISABLE}}", { host: "*.example" });
    expect(compiled("https://keys.example/k", entry(HTTPS) + wide + rule(SIMPLE)).messages).toEqual([]);
  });
});

describe("the warning names the missing resource, and the keys get a separate name", () => {
  const APART = "keys.example.jwtgate.internal";
  test.each([
    [
      "TLS",
      "https://keys.example/k",
      entry(HTTPS),
      "443",
      "no DestinationRule has the proxy speak TLS to its port 443",
      "add {number: 10443, name: http-jwks, protocol: HTTP, targetPort: 443} to its ports",
    ],
    [
      "TLS to the target port of another",
      "https://keys.example/k",
      entry("resolution: DNS, ports: [{number: 80, name: http, targetPort: 443}]"),
      "443",
      "no DestinationRule has the proxy speak TLS to its port 443",
      "to use yours, write a DestinationRule for keys.example with trafficPolicy.portLevelSettings: [{port: {number: 80}",
    ],
    [
      "TLS, which settings of the port turn off",
      "https://keys.example/k",
      entry(HTTPS) +
        rule(
          "{tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 443}, loadBalancer: {simple: RANDOM}}]}",
        ),
      "443",
      "no DestinationRule has the proxy speak TLS to its port 443",
      "write a DestinationRule",
    ],
    [
      "TLS, which a rule for other proxies makes",
      "https://keys.example/k",
      entry(HTTPS) + rule(SIMPLE, { more: "workloadSelector: {matchLabels: {app: y}}," }),
      "443",
      "no DestinationRule has the proxy speak TLS to its port 443",
      "write a DestinationRule",
    ],
    [
      "a port",
      "http://keys.example:8080/k",
      entry("resolution: DNS, ports: [{number: 80, name: http}]"),
      "8080",
      "no port 8080",
      "add {number: 8080, name: http-jwks, protocol: HTTP} to its ports",
    ],
    [
      "an address",
      "http://keys.example/k",
      entry("ports: [{number: 80, name: http}]"),
      "80",
      "resolution NONE",
      "write resolution: DNS",
    ],
  ])("%s", (_, uri, resources, port, lacks, remedy) => {
    const { cluster, written, messages } = compiled(uri, resources);
    expect(cluster).toBe(`outbound|${port}||${APART}`);
    const secure = uri.startsWith("https");
    expect(written).toEqual([`ServiceEntry ${APART}`, ...(secure ? [`DestinationRule ${APART}`] : [])]);
    expect(messages).toEqual([
      expect.stringMatching(/^warning: ServiceEntry foo\/keys \(a\.yaml:\d+:\d+\) has keys\.example and /),
    ]);
    expect(messages[0]).toContain(lacks);
    expect(messages[0]).toContain(remedy);
  });

  test("the remedy that is named works", () => {
    const port = load("{number: 10443, name: http-jwks, protocol: HTTP, targetPort: 443}") as object;
    const settings =
      "{port: {number: 10443}, tls: {mode: SIMPLE, sni: keys.example, subjectAltNames: [keys.example]}}";
    const ports = `resolution: DNS, ports: [{number: 443, name: https, protocol: HTTPS}, ${JSON.stringify(port)}]`;
    expect(
      compiled("https://keys.example/k", entry(ports) + rule(`{portLevelSettings: [${settings}]}`)),
    ).toEqual({
      cluster: "outbound|10443||keys.example",
      written: [],
      messages: [],
    });
  });

  test("a ServiceEntry that the proxies do not see", () => {
    const resources = entry(`exportTo: ["."], ${HTTPS}`, "egress") + rule(SIMPLE);
    const { cluster, messages } = compiled("https://keys.example/k", resources);
    expect(cluster).toBe("outbound|10443||keys.example");
    expect(messages).toEqual([expect.stringContaining("is not exported to namespace foo")]);
  });

  test("a rule that checks no certificate", () => {
    const resources = entry(HTTPS) + rule("{tls: {mode: SIMPLE, insecureSkipVerify: true}}");
    const { cluster, messages } = compiled("https://keys.example/k", resources);
    expect(cluster).toBe("outbound|443||keys.example");
    expect(messages).toEqual([expect.stringContaining("has insecureSkipVerify, so anyone who answers")]);
  });
});

describe("Services", () => {
  test("a port that a Service has", () => {
    expect(compiled("http://idp:8080/k", service("{ports: [{port: 8080}]}"))).toEqual({
      cluster: "outbound|8080||idp.foo.svc.cluster.local",
      written: [],
      messages: [],
    });
  });
  test("of a name that is elsewhere too, the one of the policy's namespace", () => {
    const others =
      service("{ports: [{port: 1}]}").replace("foo", "bar") +
      service("{ports: [{port: 2}]}").replace("idp", "idq");
    expect(compiled("http://idp:8080/k", others + service("{ports: [{port: 8080}]}"))).toMatchObject({
      cluster: "outbound|8080||idp.foo.svc.cluster.local",
      messages: [],
    });
  });
  test("that are not exported to the proxies are not there", () => {
    const hidden = (namespaces: string) =>
      service("{ports: [{port: 8080}]}").replace(
        "namespace: foo",
        `namespace: foo, annotations: {networking.istio.io/exportTo: "${namespaces}"}`,
      );
    expect(compiled("http://idp/k", hidden("bar")).messages).toEqual([]);
    for (const seen of [".", "*", "bar, foo", " foo "]) {
      expect(compiled("http://idp/k", hidden(seen)).messages).toEqual([
        expect.stringContaining("has no port 80"),
      ]);
    }
  });
  test("without ports", () => {
    expect(compiled("http://idp/k", service("{}")).messages).toEqual([
      expect.stringContaining("has no port 80, only none"),
    ]);
  });
  test("a port that it does not have", () => {
    expect(compiled("http://idp/k", service("{ports: [{port: 8080}, {port: 9090}]}")).messages).toEqual([
      expect.stringMatching(
        /^error: Service foo\/idp \(.*\) has no port 80, only 8080, 9090: correct the URL/,
      ),
    ]);
  });
  test("another name for a host", () => {
    const resources = service("{type: ExternalName, externalName: idp.example}");
    expect(compiled("http://idp/k", resources).messages).toEqual([
      expect.stringMatching(/^error: Service foo\/idp \(.*\) is another name for idp\.example/),
    ]);
  });
  test("TLS of a DestinationRule; without one the Service gets a name of its own", () => {
    const own = service("{ports: [{port: 443}]}");
    const tls = rule("{tls: {mode: SIMPLE}}", { host: "idp" });
    expect(compiled("https://idp.foo.svc/k", own + tls)).toEqual({
      cluster: "outbound|443||idp.foo.svc.cluster.local",
      written: [],
      messages: [],
    });
    expect(compiled("https://idp.foo.svc/k", own).cluster).toBe(
      "outbound|443||idp.foo.svc.cluster.local.jwtgate.internal",
    );
  });
});

test("resources of the same kind in another API are not the mesh's", () => {
  const other = (entry(HTTPS) + rule(SIMPLE)).replaceAll("networking.istio.io/v1", "networking.example/v1");
  expect(compiled("https://keys.example/k", other)).toMatchObject({
    cluster: "outbound|10443||keys.example",
    messages: [expect.stringContaining("1 ServiceEntry, 1 DestinationRule")],
  });
  const service = (apiVersion: string) =>
    `apiVersion: ${apiVersion}\nkind: Service\nmetadata: {name: idp, namespace: foo}\nspec: {ports: [{port: 1}]}\n`;
  expect(compiled("http://idp/k", service("v1")).messages).toEqual([
    expect.stringContaining("has no port 80, only 1"),
  ]);
  expect(compiled("http://idp/k", service("serving.knative.dev/v1")).messages).toEqual([
    "warning: Service idp (serving.knative.dev/v1) is not a policy and is not compiled",
  ]);
});

test("resources that are not what their kind is count as absent", () => {
  const odd = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: odd, namespace: foo}
spec: {hosts: keys.example, ports: {number: 443}, endpoints: [1], exportTo: [2]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: odd}
spec: [1]
---
apiVersion: v1
kind: Service
spec: {ports: [x, {port: "80"}]}
`;
  expect(compiled("https://keys.example/k", odd).cluster).toBe("outbound|10443||keys.example");
});

test("outputs that are for no mesh count these resources among the others", () => {
  const files = [{ name: "a.yaml", text: policy("https://keys.example/k") + entry(HTTPS) + rule(SIMPLE) }];
  const { diagnostics } = compile(files, { target: "envoy" });
  expect(diagnostics.map(({ message }) => message)).toEqual([
    "2 resources are not policies and are not compiled: 1 ServiceEntry, 1 DestinationRule",
  ]);
});
