/** What a mesh must know of servers of keys: which it has, which need a ServiceEntry, and who speaks TLS. */
import { DestinationRule, ServiceEntry } from "@kubernetes-models/istio/networking.istio.io/v1beta1";
import { describe, expect, test } from "vitest";
import { renderKeyServers } from "../../tools/render/key-servers.ts";
import { compile } from "../../tools/targets/compile.ts";

function render(jwksUri: string, caFile?: string) {
  const text = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: foo}
spec:
  jwtRules:
  - {issuer: "https://issuer.example", jwksUri: "${jwksUri}"}
`;
  const result = compile([{ name: "a.yaml", text }], { target: "wasmplugin", namespace: "foo", labels: {} });
  expect(result.diagnostics).toEqual([]);
  const { configuration } = result;
  if (configuration === undefined) throw new Error("it does not compile");
  const resources = renderKeyServers(configuration, { namespace: "foo", ...(caFile && { caFile }) });
  for (const resource of resources) {
    const Model = resource["kind"] === "ServiceEntry" ? ServiceEntry : DestinationRule;
    // The package's schemas are those of v1beta1, which v1 is the same as.
    new Model({ ...resource, apiVersion: "networking.istio.io/v1beta1" } as never).validate();
  }
  return {
    cluster: configuration.providers?.[0]?.remoteJwks?.cluster,
    resources: resources as { kind: string; metadata: { name: string }; spec: Record<string, unknown> }[],
  };
}

describe("a server inside the mesh", () => {
  test.each([
    ["http://nginx-proxy/get_jwks", "outbound|80||nginx-proxy.foo.svc.cluster.local"],
    ["http://nginx-proxy.bar.svc/get_jwks", "outbound|80||nginx-proxy.bar.svc.cluster.local"],
    [
      "http://nginx-proxy.foo.svc.cluster.local:80/get_jwks",
      "outbound|80||nginx-proxy.foo.svc.cluster.local",
    ],
    ["http://nginx-proxy.foo.svc.cluster.local:8080/k", "outbound|8080||nginx-proxy.foo.svc.cluster.local"],
  ])("%s needs no resource", (uri, cluster) => {
    expect(render(uri)).toEqual({ cluster, resources: [] });
  });

  test("with TLS gets another name, so that the application's own calls do not change", () => {
    const { cluster, resources } = render("https://idp.auth.svc.cluster.local/keys");
    const host = "idp.auth.svc.cluster.local.jwtgate.internal";
    expect(cluster).toBe(`outbound|443||${host}`);
    expect(resources.map(({ kind }) => kind)).toEqual(["ServiceEntry", "DestinationRule"]);
    expect(resources[0]?.spec).toMatchObject({
      hosts: [host],
      resolution: "DNS",
      endpoints: [{ address: "idp.auth.svc.cluster.local" }],
    });
    expect(resources[1]?.spec).toMatchObject({ host });
  });
});

describe("a server outside the mesh", () => {
  test("over TLS: the proxy speaks it, under a port that applications do not use", () => {
    const { cluster, resources } = render("https://keys.example.com/jwks", "/etc/ssl/private-ca.pem");
    expect(cluster).toBe("outbound|10443||keys.example.com");
    expect(resources.map(({ spec }) => spec)).toEqual([
      {
        hosts: ["keys.example.com"],
        exportTo: ["."],
        location: "MESH_EXTERNAL",
        ports: [{ number: 10443, name: "http-jwks", protocol: "HTTP", targetPort: 443 }],
        resolution: "DNS",
      },
      {
        host: "keys.example.com",
        exportTo: ["."],
        trafficPolicy: {
          portLevelSettings: [
            {
              port: { number: 10443 },
              tls: {
                mode: "SIMPLE",
                sni: "keys.example.com",
                subjectAltNames: ["keys.example.com"],
                caCertificates: "/etc/ssl/private-ca.pem",
              },
            },
          ],
        },
      },
    ]);
  });

  test("over plain HTTP needs only a ServiceEntry", () => {
    const { cluster, resources } = render("http://keys.example.com:8080/jwks");
    expect(cluster).toBe("outbound|8080||keys.example.com");
    expect(resources.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      expect.stringMatching(/^ServiceEntry jwks-keys-example-com-8080-[0-9a-f]{10}$/),
    ]);
  });

  test.each(["203.0.113.7", "[2001:db8::7]"])("by its address %s is STATIC, with endpoints", (address) => {
    const { cluster, resources } = render(`http://${address}/jwks`);
    const bare = address.replace(/[[\]]/g, "");
    const [host] = (resources[0]?.spec["hosts"] ?? []) as string[];
    expect(cluster).toBe(`outbound|80||${host}`);
    expect(resources[0]?.spec).toMatchObject({ resolution: "STATIC", endpoints: [{ address: bare }] });
  });
});

describe("keys are fetched only from the server that the policy names", () => {
  /** Policies of the root namespace and of another, each with one server of keys. */
  const compiled = (first: string, second: string, target: "envoy" | "wasmplugin") => {
    const text = [
      ["istio-system", "https://a.example", first],
      ["foo", "https://b.example", second],
    ]
      .map(
        ([namespace, issuer, jwksUri]) => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: ${namespace}}
spec: {jwtRules: [{issuer: "${issuer}", jwksUri: "${jwksUri}"}]}
`,
      )
      .join("---");
    const { configuration, diagnostics } = compile([{ name: "a.yaml", text }], {
      target,
      namespace: "foo",
      labels: {},
    });
    return { configuration, errors: diagnostics.map(({ message }) => message) };
  };

  test.each([
    // A short name is a service of the policy's own namespace.
    ["https://keys/jwks", "https://keys/jwks"],
    ["https://keys.team-a.svc/jwks", "https://keys-team.a.svc/jwks"],
    ["https://[fd00::1]/jwks", "https://[fd00:1::]/jwks"],
    ["https://a.b.example/jwks", "https://a-b.example/jwks"],
    [`https://${"x".repeat(60)}.a.example/jwks`, `https://${"x".repeat(60)}.b.example/jwks`],
  ])("%s and %s", (first, second) => {
    const { configuration, errors } = compiled(first, second, "wasmplugin");
    expect(errors).toEqual([]);
    if (configuration === undefined) throw new Error("it does not compile");
    const clusters = configuration.providers?.map(({ remoteJwks }) => remoteJwks?.cluster);
    expect(new Set(clusters).size).toBe(2);
    const resources = renderKeyServers(configuration, { namespace: "foo" }) as {
      kind: string;
      metadata: { name: string };
    }[];
    expect(new Set(resources.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).size).toBe(4);
  });

  test.each([
    ["http://keys.example:10443/jwks", "https://keys.example/jwks", "wasmplugin"],
    ["https://keys.example:40000/jwks", "https://keys.example:60000/jwks", "wasmplugin"],
    ["http://keys.example:443/jwks", "https://keys.example/jwks", "envoy"],
  ] as const)("%s and %s are refused for %s, where both would be one cluster", (first, second, target) => {
    const { configuration, errors } = compiled(first, second, target);
    expect(configuration).toBeUndefined();
    expect(errors).toEqual([expect.stringContaining("would be fetched from one of the two")]);
  });
});
