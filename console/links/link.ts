/** The state of the console as a link: in the fragment, which browsers send to no server. */
import type { Content } from "../playground/content.ts";
import { leaveOut } from "./secrets.ts";

/** The prefix of a link: the version of its format. */
const VERSION = "1";
const FORM = /^#?(\d+)\.([A-Za-z0-9_-]*)$/;

/** The largest state, in bytes of JSON. A link that unpacks to more is not one of the console's. */
const MAX_BYTES = 8_000_000;

/** A fragment without a state. The message explains why. */
export class LinkError extends Error {
  override readonly name = "LinkError";
}

/** A link, and what is not in it. */
export interface Link {
  fragment: string;
  /** What was removed, for people, such as `2 private keys`; empty if nothing was. */
  leftOut: string[];
}

/**
 * Writes a state as a fragment.
 *
 * @param withSecrets whether private keys, secrets and pasted tokens are in the link
 */
export async function writeLink(content: Content, withSecrets: boolean): Promise<Link> {
  const { content: shown, leftOut } = withSecrets ? { content, leftOut: [] } : leaveOut(content);
  const bytes = new TextEncoder().encode(JSON.stringify(shown));
  const packed = await through(bytes, new CompressionStream("deflate-raw"), Number.POSITIVE_INFINITY);
  return { fragment: `#${VERSION}.${toBase64Url(packed)}`, leftOut };
}

/** Whether a fragment begins like one that holds a state. */
export function isLink(fragment: string): boolean {
  return fragment.replace(/^#/, "") !== "";
}

/**
 * Reads a fragment.
 *
 * @throws {LinkError} if it has another version, is damaged, or is not a link; the promise is rejected
 */
export async function readLink(fragment: string): Promise<Content> {
  const [, version, text = ""] = FORM.exec(fragment) ?? [];
  if (version === undefined) throw new LinkError("this link is damaged: copy it again, as a whole");
  if (version !== VERSION)
    throw new LinkError(
      `this link is of version ${version} of the console's links, and this page reads version ${VERSION}: open it with the console that made it`,
    );
  let content: unknown;
  try {
    const bytes = await through(fromBase64Url(text), new DecompressionStream("deflate-raw"), MAX_BYTES);
    content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    if (error instanceof LinkError) throw error;
    throw new LinkError("this link is damaged: copy it again, as a whole");
  }
  if (!isContent(content)) throw new LinkError("this link contains no state of the console");
  return content;
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  transform: CompressionStream | DecompressionStream,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([bytes]).stream().pipeThrough(transform).getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    length += part.value.length;
    if (length > limit) {
      await reader.cancel();
      throw new LinkError("this link unpacks to more than a state has");
    }
    parts.push(part.value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function toBase64Url(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
}

/** The members of a draft, each with a check of its value. */
const DRAFT: Readonly<Record<string, (value: unknown) => boolean>> = {
  ...texts("method", "path", "host", "peer", "headers", "body", "sni", "client", "pasted"),
  token: oneOf("none", "made", "pasted"),
  made: (value) =>
    hasShape(value, {
      ...texts("issuer", "alg", "claims", "expires", "spoil"),
      isTrusted: (one) => typeof one === "boolean",
    }),
  place: (value) =>
    hasShape(value, {
      ...texts("name", "prefix"),
      kind: oneOf("header", "param", "cookie"),
    }),
  // Links of older pages do not have it.
  setting: (value) =>
    value === undefined ||
    hasShape(value, {
      ...texts("normalization", "listen", "at", "namespace", "labels", "gateway", "rootNamespace"),
      mode: oneOf("gateway", "sidecar"),
    }),
};

/** The wizard's answers, each with a check of its value. */
const WIZARD: Readonly<Record<string, (value: unknown) => boolean>> = {
  ...texts("issuer", "pasted", "jwksUri", "audiences", "scopes", "claims", "payloadHeader", "claimHeaders"),
  ...texts("paths", "hosts", "methods", "name", "namespace", "labels", "gateway"),
  ...texts("image", "listen", "upstream"),
  keys: oneOf("trial", "pasted", "uri", "discovery"),
  scope: oneOf("all", "matched", "unmatched"),
  target: oneOf("all", "labels", "gateway"),
  mode: oneOf("gateway", "sidecar"),
  forward: (value) => typeof value === "boolean",
  locations: (value) =>
    Array.isArray(value) &&
    value.every((one) =>
      hasShape(one, { ...texts("name", "prefix"), kind: oneOf("header", "parameter", "cookie") }),
    ),
};

function isContent(value: unknown): value is Content {
  return (
    isObject(value) &&
    Array.isArray(value["files"]) &&
    value["files"].every((file) => hasShape(file, texts("name", "text"))) &&
    (value["draft"] === undefined || hasShape(value["draft"], DRAFT)) &&
    (value["documents"] === undefined || isTextMap(value["documents"])) &&
    (value["wizard"] === undefined || hasShape(value["wizard"], WIZARD)) &&
    (value["view"] === undefined || oneOf("wizard", "playground")(value["view"]))
  );
}

function isTextMap(value: unknown): boolean {
  return isObject(value) && Object.values(value).every((text) => typeof text === "string");
}

function oneOf(...values: string[]): (value: unknown) => boolean {
  return (value) => values.some((one) => one === value);
}

function texts(...names: string[]): Record<string, (value: unknown) => boolean> {
  return Object.fromEntries(names.map((name) => [name, (value) => typeof value === "string"]));
}

function hasShape(value: unknown, members: Readonly<Record<string, (value: unknown) => boolean>>): boolean {
  return isObject(value) && Object.entries(members).every(([name, fits]) => fits(value[name]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
