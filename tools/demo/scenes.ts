/** The demo's requests, and the answers according to Istio's documents. */
import { ISTIO_TOKEN, type SigningKey } from "./tokens.ts";

/** One request and its expected answer. */
export interface Exchange {
  /** GET if absent. */
  method?: "HEAD";
  path: string;
  /** The relevant part of the request, in a few words. */
  token: string;
  headers?: Record<string, string>;
  expect: Expectation;
}

export interface Expectation {
  status: number;
  /** The exact body. */
  body?: string;
  /** Exact response headers; HOST is replaced by the requested host and port. */
  headers?: Record<string, string>;
  /** What the upstream received, as its `/headers` returns it: exact headers (null: absent), and the URL. */
  upstream?: { url?: string; headers?: Record<string, string | null> };
}

/** Policies, and requests to them. */
export interface Scene {
  /** The name in the list of the issue that the project started from. */
  name: string;
  title: string;
  /** In envoy/istio. */
  sample: string;
  /** A key set to put into the sample. */
  jwks?: string;
  exchanges: Exchange[];
}

const DENIED = "RBAC: access denied";
const MALFORMED = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";

const refused: Expectation = {
  status: 403,
  body: DENIED,
  headers: { "content-length": "19", "content-type": "text/plain" },
};
const passed: Expectation = { status: 200 };

function malformedOn(path: string): Expectation {
  return {
    status: 401,
    body: MALFORMED,
    headers: {
      "content-length": "79",
      "content-type": "text/plain",
      "www-authenticate": `Bearer realm="http://HOST${path}", error="invalid_token"`,
    },
  };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const none = (path: string, expect: Expectation): Exchange => ({ path, token: "no token", expect });
const valid = (path: string, expect: Expectation): Exchange => ({
  path,
  token: "Istio's token",
  headers: bearer(ISTIO_TOKEN),
  expect,
});
const invalid = (path: string, text = "invalid token"): Exchange => ({
  path,
  token: `Bearer ${text}`,
  headers: bearer(text),
  expect: malformedOn(path),
});

/** The scenes, in order. Those of the third use a key made now. */
export async function scenes(key: SigningKey): Promise<Scene[]> {
  const own = [...(await authentication(key)), await onePrincipal(key)];
  return [skipAPath(), protectAPath(), ...own, positions(), forwarding()];
}

function skipAPath(): Scene {
  return {
    name: "A",
    title: "Skip JWT for a path",
    sample: "skip-a-path.yaml",
    exchanges: [
      none("/productpage", passed),
      none("/api/v1/products/0", refused),
      none("/api/v1/products/1", refused),
      valid("/productpage", passed),
      valid("/api/v1/products/0", passed),
      valid("/api/v1/products/1", passed),
    ],
  };
}

function protectAPath(): Scene {
  return {
    name: "B",
    title: "Protect a path",
    sample: "protect-a-path.yaml",
    exchanges: [
      valid("/productpage", passed),
      none("/productpage", refused),
      invalid("/productpage"),
      none("/api/v1/products/1", passed),
      invalid("/api/v1/products/1"),
    ],
  };
}

async function authentication(key: SigningKey): Promise<Scene[]> {
  const issuer = "testing@asm.test.io";
  const good = await key.sign({ iss: issuer, sub: "demo@asm.test.io" });
  const withoutSubject = await key.sign({ iss: issuer });
  const own = (path: string, expect: Expectation): Exchange => ({
    path,
    token: "a token of our key",
    headers: bearer(good),
    expect,
  });
  // A HEAD request gets the headers of the answer, and no body.
  const head = (exchange: Exchange): Exchange => ({
    ...exchange,
    method: "HEAD",
    expect: { ...exchange.expect, body: "" },
  });
  return [
    {
      name: "C.1",
      title: "Only authentication, with a new key",
      sample: "authenticate.yaml",
      jwks: key.jwks,
      exchanges: [
        own("/", passed),
        invalid("/", "invalidToken"),
        head(invalid("/", "invalidToken")),
        none("/", passed),
      ],
    },
    {
      name: "C.2",
      title: "A token is needed",
      sample: "require-a-token.yaml",
      jwks: key.jwks,
      exchanges: [none("/", refused), head(none("/", refused)), own("/", passed)],
    },
    {
      name: "C.3",
      title: "A principal is needed, except for /healthz",
      sample: "exempt-a-path.yaml",
      jwks: key.jwks,
      exchanges: [
        { path: "/", token: "a token without sub", headers: bearer(withoutSubject), expect: refused },
        own("/", passed),
        none("/healthz", passed),
        none("/", refused),
      ],
    },
  ];
}

async function onePrincipal(key: SigningKey): Promise<Scene> {
  const stranger = await key.sign({ iss: "https://other.example", sub: "somebody" });
  return {
    name: "D",
    title: "One principal",
    sample: "one-principal.yaml",
    exchanges: [
      none("/productpage", refused),
      {
        path: "/productpage",
        token: "a token of another issuer",
        headers: bearer(stranger),
        expect: { status: 401, body: "Jwt issuer is not configured" },
      },
      valid("/productpage", passed),
      valid("/headers", { status: 200, upstream: { headers: { authorization: null } } }),
    ],
  };
}

function positions(): Scene {
  const identified = {
    "x-foo": "bar",
    "x-jwt-payload": ISTIO_TOKEN.split(".")[1] ?? "",
    "x-jwt": null,
    "x-auth": null,
  };
  const found: Expectation = { status: 200, upstream: { url: "/headers", headers: identified } };
  return {
    name: "E.1",
    title: "Locations of a token, and what the upstream receives",
    sample: "token-positions.yaml",
    exchanges: [
      { path: "/headers", token: "x-jwt: TOKEN", headers: { "x-jwt": ISTIO_TOKEN }, expect: found },
      {
        path: "/headers",
        token: "x-auth: Token TOKEN",
        headers: { "x-auth": `Token ${ISTIO_TOKEN}` },
        expect: found,
      },
      {
        path: `/headers?access_token=${ISTIO_TOKEN}&page=2`,
        token: "?access_token=TOKEN&page=2",
        expect: { status: 200, upstream: { url: "/headers?page=2", headers: identified } },
      },
      {
        path: "/headers",
        token: "cookie session=TOKEN",
        headers: { cookie: `session=${ISTIO_TOKEN}` },
        expect: found,
      },
      {
        path: "/headers",
        token: "a forged x-foo: root, no token",
        headers: { "x-foo": "root" },
        expect: { status: 200, upstream: { headers: { "x-foo": null, "x-jwt-payload": null } } },
      },
      {
        path: "/headers",
        token: "x-jwt: TOKEN, and a forged x-foo: root",
        headers: { "x-jwt": ISTIO_TOKEN, "x-foo": "root" },
        expect: found,
      },
    ],
  };
}

function forwarding(): Scene {
  return {
    name: "E.2",
    title: "Let the token go on",
    sample: "forward-the-token.yaml",
    exchanges: [valid("/headers", { status: 200, upstream: { headers: bearer(ISTIO_TOKEN) } })],
  };
}
