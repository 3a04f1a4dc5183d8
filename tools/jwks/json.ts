/**
 * JSON of a key set, read as strictly as the strictest of its readers: Go's encoding/json (istiod), and protobuf's JSON
 * parser (Envoy), which refuses duplicate names, lone surrogates, numbers that overflow and more than 100 levels.
 */

/** What is wrong with a text that should be JSON. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

const MAX_DEPTH = 100;

/**
 * @param text RFC 8259 JSON
 * @returns its value
 * @throws {JsonError} with the fault and, if known, its character (from 1)
 */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text, (_name, member: unknown) => {
      if (member === Number.POSITIVE_INFINITY || member === Number.NEGATIVE_INFINITY) {
        throw new JsonError("a number is too large");
      }
      return member;
    });
  } catch (error) {
    if (error instanceof JsonError) throw error;
    if (error instanceof RangeError) throw new JsonError(`more than ${MAX_DEPTH} levels`);
    throw new JsonError("not JSON" + placeOf(error));
  }
  checkNames(text);
  return value;
}

/** V8 writes `… in JSON at position 12 (…)`; the rest of its sentence quotes the text, which may hold a secret. */
function placeOf(error: unknown): string {
  const position = error instanceof Error ? /at position (\d+)/.exec(error.message)?.[1] : undefined;
  return position === undefined ? "" : ` (character ${Number(position) + 1})`;
}

/** Refuses what JSON.parse accepts: duplicate names, lone surrogates, too many levels. `text` is known to be JSON. */
function checkNames(text: string): void {
  /** One set of names for each object that is open, undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  for (const match of text.matchAll(/[{}[\]]|"([^"\\]*(?:\\.[^"\\]*)*)"(\s*:)?/g)) {
    const [token, body, colon] = match;
    if (token === "{" || token === "[") {
      if (open.push(token === "{" ? new Set() : undefined) > MAX_DEPTH) {
        throw new JsonError(`more than ${MAX_DEPTH} levels`);
      }
    } else if (token === "}" || token === "]") {
      open.pop();
    } else if (body !== undefined) {
      const string = body.includes("\\") ? (JSON.parse(`"${body}"`) as string) : body;
      if (/\p{Surrogate}/u.test(string)) throw new JsonError("a string holds half a surrogate pair");
      const names = open.at(-1);
      if (colon === undefined || names === undefined) continue;
      if (names.has(string)) throw new JsonError(`the name ${JSON.stringify(string)} is there twice`);
      names.add(string);
    }
  }
}
