/** Names of resources that stand for something with a name of its own, or with several. */
import { sha256 } from "@noble/hashes/sha2.js";
import { hexEncode, utf8Encode } from "../host/bytes.ts";

/** What a DNS label (RFC 1123) has room for. */
const MAX_LENGTH = 63;

/**
 * A name that people know again and that no other thing has: what a label leaves out of the words, the digest says. Of two
 * resources with one name the later replaces the earlier, which for a plugin is a workload without a gate.
 *
 * @param words what people know it by
 * @param identity what it is: plain JSON, written the same way for the same thing
 * @returns a DNS label
 */
export function uniqueName(words: readonly string[], identity: unknown): string {
  const digest = hexEncode(sha256(utf8Encode(JSON.stringify(identity)))).slice(0, 10);
  const readable = words
    .join("-")
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .slice(0, MAX_LENGTH - digest.length - 1)
    .replace(/-+$/, "");
  return `${readable}-${digest}`;
}
