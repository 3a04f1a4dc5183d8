/** Names of resources that represent another thing with a name, or several. */
import { sha256 } from "@noble/hashes/sha2.js";
import { hexEncode, utf8Encode } from "../host/bytes.ts";

/** The longest DNS label (RFC 1123). */
const MAX_LENGTH = 63;

/**
 * A recognisable name that no other thing has: the digest replaces what does not fit into a label. Of two resources
 * with one name the later replaces the earlier, which for a plugin would leave a workload without a gate.
 *
 * @param words that users recognise it by
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
