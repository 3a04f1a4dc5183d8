/** The functions of a page that `jwtgate console` serves: it follows policies on disk, and fetches keys. */
import { signal } from "@preact/signals";
import type { TextFile } from "../engine/suite.ts";

/** Whether `jwtgate console` serves this page; only the command adds this element. */
export const isServed =
  document.querySelector('meta[name="jwtgate-console"]')?.getAttribute("content") === "served";

/** Files that the server could not read, and why. */
export const problems = signal<readonly string[]>([]);

/** Whether the server has stopped answering. */
export const isGone = signal(false);

/** The files that the server has read from the disk. */
interface Policies {
  files: TextFile[];
  problems: string[];
}

/** The pause between two requests for changed policies, in milliseconds. */
const POLL_MS = 500;
/** The longest pause if the server does not answer, in milliseconds. */
const LONGEST_PAUSE_MS = 8000;

/**
 * Follows the policies on disk by polling. A browser opens at most six connections to one server, and an open connection for
 * each tab would use them up.
 *
 * @param onChange receives the files whose text has changed
 */
export function followDisk(onChange: (files: readonly TextFile[]) => void): void {
  if (!isServed) return;
  const last = new Map<string, string>();
  const poll = new Poll();
  const take = (policies: Policies) => {
    problems.value = policies.problems;
    const changed = policies.files.filter(({ name, text }) => last.get(name) !== text);
    for (const { name, text } of changed) last.set(name, text);
    if (changed.length > 0) onChange(changed);
  };
  let pause = POLL_MS;
  const follow = async () => {
    // A hidden page waits until it is shown.
    await shown();
    try {
      const policies = await poll.next();
      isGone.value = false;
      pause = POLL_MS;
      if (policies !== undefined) take(policies);
    } catch {
      isGone.value = true;
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
    setTimeout(() => void follow(), pause);
  };
  void follow();
}

/** Requests the policies, with the entity tag of the previous ones. */
class Poll {
  private tag = "";

  /**
   * @returns undefined if they are the same as before
   * @throws {Error} if the server does not answer, or not with policies; the promise is rejected
   */
  async next(): Promise<Policies | undefined> {
    const response = await fetch("api/policies", {
      cache: "no-store",
      ...(this.tag !== "" && { headers: { "if-none-match": this.tag } }),
    });
    if (response.status === 304) return undefined;
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const policies = (await response.json()) as Policies;
    this.tag = response.headers.get("etag") ?? "";
    return policies;
  }
}

/** Resolves when the page is shown. */
function shown(): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", () => resolve(), { once: true });
  });
}

/**
 * Fetches, through the server, the key set that a policy names.
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

/** The `jwks_uri` of a discovery document. */
function jwksUriOf(text: string): string | undefined {
  try {
    const { jwks_uri } = JSON.parse(text) as { jwks_uri?: unknown };
    return typeof jwks_uri === "string" ? jwks_uri : undefined;
  } catch {
    return undefined;
  }
}
