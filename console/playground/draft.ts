/** The request that is being tried: in the form, and in a test file. */
import type { Key, Placement, Request, TestFile, Token } from "../../tools/testing/schema.ts";
import type { Spoil } from "../../tools/testing/spoils.ts";

/** The location of a token. */
export interface Place {
  kind: "header" | "param" | "cookie";
  name: string;
  /** The text before the token in a header. */
  prefix: string;
}

/** A token that the page signs. */
export interface MadeToken {
  issuer: string;
  alg: string;
  /** Whether the rule of this issuer trusts the page's key instead of its own. */
  isTrusted: boolean;
  /** JSON, exactly as typed. */
  claims: string;
  expires: string;
  /** "": the token is good. */
  spoil: Spoil | "";
}

/** Where and when the request arrives: the settings of a test file. Empty text: the default. */
export interface Setting {
  mode: "gateway" | "sidecar";
  normalization: string;
  /** The listener's `IP:PORT`. */
  listen: string;
  /** A time in the format of test files. */
  at: string;
  namespace: string;
  /** `NAME=VALUE`, with commas or spaces between. */
  labels: string;
  gateway: string;
  rootNamespace: string;
}

/** The content of the form. */
export interface Draft {
  method: string;
  path: string;
  host: string;
  peer: string;
  /** Lines of `name: value`. */
  headers: string;
  body: string;
  /** The server name that a TLS client asks for. */
  sni: string;
  /** URIs of the client's certificate, separated by spaces. With these or a server name, the connection is TLS. */
  client: string;
  token: "none" | "made" | "pasted";
  made: MadeToken;
  pasted: string;
  place: Place;
  setting: Setting;
}

export const BEARER: Place = { kind: "header", name: "authorization", prefix: "Bearer " };

export const EMPTY_SETTING: Setting = {
  mode: "gateway",
  normalization: "BASE",
  ...{ listen: "", at: "", namespace: "", labels: "", gateway: "", rootNamespace: "" },
};

export const EMPTY_DRAFT: Draft = {
  method: "GET",
  path: "/",
  host: "localhost",
  peer: "127.0.0.1",
  headers: "",
  body: "",
  sni: "",
  client: "",
  token: "none",
  made: {
    issuer: "",
    alg: "RS256",
    isTrusted: true,
    claims: '{\n  "sub": "alice"\n}',
    expires: "now+1h",
    spoil: "",
  },
  pasted: "",
  place: BEARER,
  setting: EMPTY_SETTING,
};

/** A draft in a test file, with keys and tokens under the given names. */
export interface Written {
  keys: Record<string, Key>;
  tokens: Record<string, Token>;
  request: Request;
  /** The settings of the whole file. */
  setting: Pick<TestFile, "workload" | "listener">;
  /** The time of the request. */
  at?: string;
}

/** The form's content cannot be sent; the message is the reason. */
export class FormError extends Error {
  override readonly name = "FormError";
}

/**
 * @param issuers the issuers of the policies' rules
 * @param names of the key and of the token in the test file
 * @throws {FormError}
 */
export function write(
  draft: Draft,
  issuers: readonly string[],
  names: { key: string; token: string } = { key: "page", token: "token" },
): Written {
  const { method, path, host, peer, body } = draft;
  const request: Request = {
    ...(method !== "GET" && { method }),
    path,
    ...(host !== EMPTY_DRAFT.host && { host }),
    ...(peer !== EMPTY_DRAFT.peer && { peer }),
    ...headersOf(draft.headers),
    ...(body !== "" && { body }),
    ...tlsOf(draft),
  };
  const at = draft.setting.at.trim();
  const where = { setting: settingOf(draft.setting), ...(at !== "" && { at }) };
  if (draft.token === "none") return { keys: {}, tokens: {}, request, ...where };
  const placed = { ...request, token: placementOf(names.token, draft.place) };
  if (draft.token === "pasted")
    return { keys: {}, tokens: { [names.token]: draft.pasted.trim() }, request: placed, ...where };
  const { issuer, alg, isTrusted, expires, spoil } = draft.made;
  const claims = claimsOf(draft.made.claims);
  const isKnown = isTrusted && issuers.includes(issuer);
  const key: Key = { alg: alg as NonNullable<Key["alg"]>, ...(isKnown && { issuer }) };
  const all = { ...(!isKnown && issuer !== "" && { iss: issuer }), ...claims };
  const good: Token = {
    key: names.key,
    ...(Object.keys(all).length > 0 && { claims: all }),
    ...(expires !== EMPTY_DRAFT.made.expires && { expires }),
  };
  const unspoilt = `${names.token}-unspoilt`;
  const tokens: Record<string, Token> =
    spoil === "" ? { [names.token]: good } : { [unspoilt]: good, [names.token]: { from: unspoilt, spoil } };
  return { keys: { [names.key]: key }, tokens, request: placed, ...where };
}

/** The setting in a test file, without defaults. @throws {FormError} */
export function settingOf(setting: Setting): Written["setting"] {
  const { mode, normalization, listen, namespace, labels, gateway, rootNamespace } = setting;
  const texts = (named: Record<string, string>) =>
    Object.fromEntries(Object.entries(named).filter(([, text]) => text !== ""));
  const pairs = labels.split(/[\s,]+/).filter((word) => word !== "");
  const workload = {
    ...texts({
      namespace: namespace.trim(),
      gateway: gateway.trim(),
      rootNamespace: rootNamespace.trim(),
    }),
    ...(pairs.length > 0 && { labels: Object.fromEntries(pairs.map(labelOf)) }),
  };
  const listener = texts({
    mode: mode === EMPTY_SETTING.mode ? "" : mode,
    pathNormalization: normalization === EMPTY_SETTING.normalization ? "" : normalization,
    address: listen.trim(),
  });
  return {
    ...(Object.keys(workload).length > 0 && { workload }),
    ...(Object.keys(listener).length > 0 && { listener }),
  };
}

/** The time of a file's tests, or of one of them; undefined if the file has none. */
export function timeOf({ at, now }: Pick<TestFile, "at" | "now">): string | undefined {
  return at ?? now;
}

function labelOf(pair: string): [string, string] {
  const [, name, value = ""] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
  if (name === undefined) throw new FormError(`"${pair}" is not a label: write NAME=VALUE, such as app=shop`);
  return [name, value];
}

/** The form's setting from the settings of a test file, and the time of one of its tests. */
export function settingFrom(file: TestFile, at?: string): Setting {
  const { workload = {}, listener = {} } = file;
  const labels = Object.entries(workload.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return {
    mode: listener.mode ?? EMPTY_SETTING.mode,
    normalization: listener.pathNormalization ?? EMPTY_SETTING.normalization,
    listen: listener.address ?? "",
    at: at ?? timeOf(file) ?? "",
    namespace: workload.namespace ?? "",
    labels: labels.join(","),
    gateway: workload.gateway ?? "",
    rootNamespace: workload.rootNamespace ?? "",
  };
}

function placementOf(name: string, { kind, name: place, prefix }: Place): Placement {
  if (kind === "param") return { name, param: place };
  if (kind === "cookie") return { name, cookie: place };
  if (place.toLowerCase() === "authorization" && prefix === BEARER.prefix) return name;
  return { name, header: place, ...(prefix !== "" && { prefix }) };
}

function claimsOf(text: string): Record<string, unknown> {
  if (text.trim() === "") return {};
  let claims: unknown;
  try {
    claims = JSON.parse(text);
  } catch (error) {
    throw new FormError(`the claims are not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (typeof claims !== "object" || claims === null || Array.isArray(claims))
    throw new FormError('the claims are not a JSON object: write {"sub": "alice"}');
  return claims as Record<string, unknown>;
}

function tlsOf({ sni, client }: Draft): Pick<Request, "tls"> {
  const uris = client.split(/\s+/).filter((uri) => uri !== "");
  if (sni === "" && uris.length === 0) return {};
  return { tls: { ...(sni !== "" && { sni }), ...(uris.length > 0 && { client: uris }) } };
}

function headersOf(text: string): Pick<Request, "headers"> {
  const headers = new Map<string, string[]>();
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    const colon = line.indexOf(":");
    if (colon < 1) throw new FormError(`"${line.trim()}" is not a header: write NAME: VALUE`);
    const name = line.slice(0, colon).trim();
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  if (headers.size === 0) return {};
  const entries = [...headers].map(([name, values]) => [
    name,
    values.length === 1 ? (values[0] ?? "") : values,
  ]);
  return { headers: Object.fromEntries(entries) };
}

/**
 * The form's content for a request of a test file.
 *
 * @param name of its test
 * @param tokens the file's tokens, as they were sent
 */
export function read(
  request: Request,
  name: string,
  file: TestFile,
  tokens: Readonly<Record<string, string>>,
): Draft {
  const { method = "GET", path = "/", host = EMPTY_DRAFT.host, peer = EMPTY_DRAFT.peer, body = "" } = request;
  const headers = Object.entries(request.headers ?? {}).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${one}`),
  );
  const tls = { sni: request.tls?.sni ?? "", client: (request.tls?.client ?? []).join(" ") };
  const all: readonly Pick<TestFile, "at" | "now">[] = [...(file.tests ?? []), ...(file.tables ?? [])].filter(
    (one) => one.name === name,
  );
  const setting = settingFrom(file, all[0] && timeOf(all[0]));
  const draft = {
    ...EMPTY_DRAFT,
    method,
    path,
    host,
    peer,
    body,
    headers: headers.join("\n"),
    ...tls,
    setting,
  };
  const [placement] = request.token === undefined ? [] : [request.token].flat();
  if (placement === undefined) return draft;
  const {
    name: token,
    header,
    prefix = "",
    param,
    cookie,
  } = typeof placement === "string"
    ? { name: placement, header: undefined, param: undefined, cookie: undefined }
    : placement;
  const place: Place =
    param !== undefined
      ? { kind: "param", name: param, prefix: "" }
      : cookie !== undefined
        ? { kind: "cookie", name: cookie, prefix: "" }
        : header !== undefined
          ? { kind: "header", name: header, prefix }
          : BEARER;
  // The times of the file's tokens are relative to the file's time; the page's are relative to now.
  const made = timeOf(file) === undefined ? madeOf(file.tokens?.[token], file) : undefined;
  if (made !== undefined) return { ...draft, token: "made", made, place };
  return { ...draft, token: "pasted", pasted: tokens[token] ?? "", place };
}

/** The form's content for a token; undefined if the form cannot make it. */
function madeOf(token: Token | undefined, file: TestFile): MadeToken | undefined {
  if (token === undefined || typeof token === "string") return undefined;
  if ("from" in token) {
    const { from, spoil, ...rest } = token;
    const base = madeOf(file.tokens?.[from], file);
    return base?.spoil === "" && spoil !== undefined && Object.keys(rest).length === 0
      ? { ...base, spoil }
      : undefined;
  }
  const { key: name, claims = {}, expires = EMPTY_DRAFT.made.expires, ...rest } = token;
  const key = file.keys?.[name];
  if (key === undefined || Object.keys(rest).length > 0 || key.jwk || key.file || key.kid) return undefined;
  const { iss, ...others } = claims;
  const isOwn = key.issuer === undefined && typeof iss === "string";
  return {
    ...EMPTY_DRAFT.made,
    issuer: isOwn ? String(iss) : (key.issuer ?? ""),
    alg: key.alg ?? EMPTY_DRAFT.made.alg,
    isTrusted: !isOwn,
    claims: JSON.stringify(isOwn ? others : claims, null, 2),
    expires,
  };
}
