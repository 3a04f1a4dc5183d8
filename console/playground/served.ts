/** What the page can do if `jwtgate console` serves it: follow policies on disk, and have keys fetched. */
import { signal } from "@preact/signals";
import type { TextFile } from "../engine/suite.ts";

/** Whether `jwtgate console` serves this page; nobody else adds that element. */
export const isServed =
  document.querySelector('meta[name="jwtgate-console"]')?.getAttribute("content") === "served";

/** Files that the server could not read, and why. */
export const problems = signal<readonly string[]>([]);

/** What the server says after each change on disk. */
interface Policies {
  files: TextFile[];
  problems: string[];
}

/**
 * Follows the policies on disk.
 *
 * @param onChange takes the files whose text is another than before
 */
export function followDisk(onChange: (files: readonly TextFile[]) => void): void {
  if (!isServed) return;
  const last = new Map<string, string>();
  new EventSource("api/events").addEventListener("policies", ({ data }: MessageEvent<string>) => {
    const policies = JSON.parse(data) as Policies;
    problems.value = policies.problems;
    const changed = policies.files.filter(({ name, text }) => last.get(name) !== text);
    for (const { name, text } of changed) last.set(name, text);
    if (changed.length > 0) onChange(changed);
  });
}

/**
 * Has the server fetch the key set that a policy names.
 *
 * @param uri of a key set, or of a discovery document that leads to one
 * @returns the key set's text
 * @throws {Error} with a message for people; the promise is rejected
 */
export async function fetchKeys(uri: string): Promise<string> {
  const text = await fetchDocument(uri);
  const next = jwksUriOf(text);
  return next === undefined ? text : fetchDocument(next);
}

async function fetchDocument(uri: string): Promise<string> {
  const response = await fetch("api/jwks", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ uri }),
  });
  const { status, body, error } = (await response.json()) as {
    status?: number;
    body?: string;
    error?: string;
  };
  if (error !== undefined) throw new Error(error);
  if (status !== 200 || body === undefined) throw new Error(`${uri}: the server answered ${status}`);
  return body;
}

/** Where a discovery document says that the keys are. */
function jwksUriOf(text: string): string | undefined {
  try {
    const { jwks_uri } = JSON.parse(text) as { jwks_uri?: unknown };
    return typeof jwks_uri === "string" ? jwks_uri : undefined;
  } catch {
    return undefined;
  }
}
