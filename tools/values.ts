/** Parsers of option values; each explains the expected form if it cannot read one. */
import { isAddress } from "./encoding/address.ts";
import type { Address, UpstreamProtocol } from "./render/bootstrap.ts";
import { parseTime as parseTimeFrom, TIME_FORMS } from "./time.ts";

/** An option's value cannot be read. Commander recognises it by its code, and names the option. */
export class InvalidValue extends Error {
  override readonly name = "InvalidValue";
  readonly code = "commander.invalidArgument";
}

/** `HOST:PORT`, the host being a name, an IPv4 address or an IPv6 address in brackets. */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw new InvalidValue("Write HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080.");
  }
  if (!isAddress(host) && !/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/.test(host)) {
    throw new InvalidValue(`${host} is neither an IP address nor a host name.`);
  }
  return { host, port };
}

/** The address and the protocol of a service. */
export interface UpstreamAddress extends Address {
  scheme: UpstreamScheme;
}

/** The meaning of the scheme of a service's URL. */
export const UPSTREAM_SCHEMES = {
  http: { port: 80, isTls: false, protocol: "HTTP/1.1" },
  https: { port: 443, isTls: true, protocol: "HTTP/1.1" },
  h2c: { port: 80, isTls: false, protocol: "HTTP/2" },
  h2: { port: 443, isTls: true, protocol: "HTTP/2" },
  grpc: { port: 80, isTls: false, protocol: "HTTP/2" },
  grpcs: { port: 443, isTls: true, protocol: "HTTP/2" },
} as const satisfies Record<string, { port: number; isTls: boolean; protocol: UpstreamProtocol }>;

export type UpstreamScheme = keyof typeof UPSTREAM_SCHEMES;

/** Other schemes that users write for these. */
const OTHER_SCHEMES: Record<string, UpstreamScheme> = { ws: "http", wss: "https", tls: "https", tcp: "http" };

/** `HOST:PORT`, or a URL of one of the schemes, with a port if it is not the scheme's own. */
export function parseUpstream(text: string): UpstreamAddress {
  const [, written, rest = ""] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  if (written === undefined) {
    if (/^\[[^\]]*\]$|^[^:/?#@[\]]+$/.test(text)) {
      throw new InvalidValue(`The port is missing: write ${text}:8000, or a URL such as https://${text}.`);
    }
    return { ...parseAddress(text), scheme: "http" };
  }
  const scheme = written.toLowerCase();
  if (!isUpstreamScheme(scheme)) {
    const meant = Object.hasOwn(OTHER_SCHEMES, scheme) ? OTHER_SCHEMES[scheme] : undefined;
    const known = Object.keys(UPSTREAM_SCHEMES).map((name) => `${name}://`);
    throw new InvalidValue(
      meant === undefined
        ? `${written}:// is not known: write HOST:PORT, or one of ${known.join(", ")}.`
        : `Write ${meant}://${rest}: WebSockets begin in HTTP, and the gate lets them through.`,
    );
  }
  const [, authority = "", tail = ""] = /^([^/?#]*)(.*)$/s.exec(rest) ?? [];
  if (authority.includes("@")) {
    const host = authority.slice(authority.lastIndexOf("@") + 1);
    throw new InvalidValue(`The gate sends no user and no password of its own: write ${scheme}://${host}.`);
  }
  if (tail !== "" && tail !== "/") {
    throw new InvalidValue(
      `The service gets the path that the client asks for: write ${scheme}://${authority}.`,
    );
  }
  const hasPort = /:\d*$/.test(authority.replace(/^\[[^\]]*\]/, ""));
  const address = hasPort ? authority : `${authority}:${UPSTREAM_SCHEMES[scheme].port}`;
  return { ...parseAddress(address), scheme };
}

function isUpstreamScheme(scheme: string): scheme is UpstreamScheme {
  return Object.hasOwn(UPSTREAM_SCHEMES, scheme);
}

/** A Host header: `HOST` or `HOST:PORT`. */
export function parseHostHeader(text: string): string {
  if (/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:\d{1,5})?$/.test(text)) return text;
  throw new InvalidValue("Write HOST or HOST:PORT, such as api.example.com.");
}

/** `IP:PORT`: Envoy and this tool listen at addresses, not at names. */
export function parseListenAddress(text: string): Address {
  const address = parseAddress(text);
  if (isAddress(address.host)) return address;
  throw new InvalidValue(
    `Listen on an IP address, not on a name: write 0.0.0.0:${address.port} for all, 127.0.0.1:${address.port} for this machine.`,
  );
}

/** Bytes, by the units of `parseHeapSize`. */
const SIZE_UNITS: Record<string, number> = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 };

/** Envoy with the filter uses about 20 MiB of heap before the first request. */
const MIN_HEAP_BYTES = 64 * 1024 ** 2;

/**
 * A size of Envoy's heap: `512MiB`, `1.5GiB`, or in the form of Kubernetes, `512Mi`, `2Gi`.
 *
 * @returns bytes
 */
export function parseHeapSize(text: string): number {
  const [, number, unit = ""] = /^(\d{1,6}(?:\.\d{1,3})?)([KMG]i)B?$/.exec(text) ?? [];
  const factor = SIZE_UNITS[unit];
  if (number === undefined || factor === undefined) {
    const reason = /^\d+$/.test(text) ? "The unit is missing. " : "";
    throw new InvalidValue(`${reason}Write a number with KiB, MiB or GiB, such as 512MiB or 2GiB.`);
  }
  const bytes = Math.floor(Number(number) * factor);
  if (bytes < MIN_HEAP_BYTES) {
    throw new InvalidValue(
      "Envoy refuses all requests at the limit, and needs 20 MiB of it before the first: write 64MiB or more.",
    );
  }
  return bytes;
}

/** `k=v,…`, once or several times. */
export function parseLabels(text: string, previous: Record<string, string> = {}): Record<string, string> {
  const labels = new Map(Object.entries(previous));
  for (const pair of text.split(",")) {
    const at = pair.indexOf("=");
    if (at <= 0) throw new InvalidValue("Write NAME=VALUE,NAME=VALUE, such as app=httpbin,version=v1.");
    const name = pair.slice(0, at);
    const value = pair.slice(at + 1);
    const other = labels.get(name) ?? value;
    // One of two values would be dropped, and with it the policies that select by it.
    if (other !== value) {
      throw new InvalidValue(`A workload has one value of ${name}: ${other} or ${value}?`);
    }
    labels.set(name, value);
  }
  return Object.fromEntries(labels);
}

/** A SHA-256 in hexadecimal; a leading `sha256:` is removed. */
export function parseSha256(text: string): string {
  const digest = text.replace(/^sha256:/, "").toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(digest)) throw new InvalidValue("Write 64 hexadecimal digits.");
  return digest;
}

/** A URL of a module, as a WasmPlugin accepts it; without a scheme it is oci://. */
export function parseImage(text: string): string {
  const url = /^[a-z]+:\/\//.test(text) ? text : `oci://${text}`;
  if (!/^(oci|https?|file):\/\/\S+$/.test(url)) {
    throw new InvalidValue("Write oci://REGISTRY/NAME:TAG, https://… or file:///….");
  }
  return url;
}

/** The name of a Kubernetes object (RFC 1123, a subdomain). */
export function parseName(text: string): string {
  if (text.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(text))
    return text;
  throw new InvalidValue("Write a name of lower-case letters, digits, - and ., such as key-server-ca.");
}

/** A file that Envoy reads as YAML, which depends on its extension. */
export function parseYamlFile(text: string): string {
  if (/[^/]\.ya?ml$/.test(text)) return text;
  throw new InvalidValue("Envoy reads a file as YAML only if its name ends with .yaml: write such a name.");
}

/** An origin of keys, `https://HOST[:PORT]`; may be repeated. */
export function parseOrigin(text: string, previous: string[] = []): string[] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "") {
    throw new InvalidValue("Write https://HOST or https://HOST:PORT.");
  }
  return [...previous, url.origin];
}

/** Any text, once or several times: for commands with arguments, which an option with several values would consume. */
export function collect(text: string, previous: string[] = []): string[] {
  return [...previous, text];
}

/** Names with values, `name=value`, once or several times; a value is JSON, or else a string. */
export function parseNamed(text: string, previous: Record<string, unknown> = {}): Record<string, unknown> {
  const at = text.indexOf("=");
  if (at <= 0) throw new InvalidValue('Write NAME=VALUE, such as role=admin or \'groups=["a","b"]\'.');
  // A claim may also be named __proto__.
  return Object.fromEntries([
    ...Object.entries(previous),
    [text.slice(0, at), jsonOrText(text.slice(at + 1))],
  ]);
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * A time, as `time.ts` reads it.
 *
 * @returns milliseconds since 1970
 */
export function parseMoment(text: string): number {
  const time = parseTimeFrom(text, Date.now());
  if (time === undefined) throw new InvalidValue(`Write ${TIME_FORMS}.`);
  return time;
}

/** @returns seconds since 1970, as in tokens */
export function parseTime(text: string): number {
  return Math.floor(parseMoment(text) / 1000);
}

function isIPv6(text: string): boolean {
  return text.includes(":") && isAddress(text);
}
