/** Finds private keys, secrets and tokens in texts, and removes them. */
import type { Content } from "../playground/content.ts";

/** Replaces a secret that was removed. */
const PLACEHOLDER = "left-out";

/** Kinds of secrets: the name for people, and the pattern in YAML, in JSON, and in JSON inside YAML. */
const KINDS: readonly { name: string; pattern: RegExp }[] = [
  {
    name: "private key",
    pattern: /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g,
  },
  // The private members of a JWK (RFC 7518 §6), and the secret of HMAC.
  {
    name: "private member of a key",
    pattern:
      /(?<=(?:^|[\s{,"'\\])(?:d|p|q|dp|dq|qi|k)(?:\\?["'])?\s*:\s*(?:\\?["'])?)[A-Za-z0-9_+/=-]{16,}/gm,
  },
  { name: "token", pattern: /\beyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)*/g },
];

/**
 * The state without private keys, secrets and tokens.
 *
 * @returns what was removed, for people, such as `2 tokens`
 */
export function leaveOut({ files, draft, documents, wizard, ...rest }: Content): {
  content: Content;
  leftOut: string[];
} {
  const counts = new Map<string, number>();
  const clean = (text: string): string =>
    KINDS.reduce(
      (rest, { name, pattern }) =>
        rest.replace(pattern, () => {
          counts.set(name, (counts.get(name) ?? 0) + 1);
          return PLACEHOLDER;
        }),
      text,
    );
  const cleanFiles = files.map(({ name, text }) => ({ name, text: clean(text) }));
  const cleanDocuments =
    documents && Object.fromEntries(Object.entries(documents).map(([uri, text]) => [uri, clean(text)]));
  const cleanDraft = draft && {
    ...draft,
    headers: clean(draft.headers).replace(
      /^((?:authorization|cookie|proxy-authorization)\s*:\s*)(.*)$/gim,
      (_, name: string) => {
        counts.set("header", (counts.get("header") ?? 0) + 1);
        return `${name}${PLACEHOLDER}`;
      },
    ),
    path: clean(draft.path),
    body: clean(draft.body),
    made: { ...draft.made, claims: clean(draft.made.claims) },
    pasted: draft.pasted.trim() === "" ? "" : pastedPlaceholder(counts),
  };
  const cleanWizard = wizard && { ...wizard, pasted: clean(wizard.pasted) };
  const leftOut = [...counts].map(([name, count]) =>
    count === 1 ? `1 ${name}` : `${count} ${plural(name)}`,
  );
  const content = {
    files: cleanFiles,
    ...(cleanDraft && { draft: cleanDraft }),
    ...(cleanDocuments && { documents: cleanDocuments }),
    ...(cleanWizard && { wizard: cleanWizard }),
    ...rest,
  };
  return { content, leftOut };
}

/** Removes a pasted token in any case: one that is not valid here may be valid elsewhere. */
function pastedPlaceholder(counts: Map<string, number>): string {
  counts.set("token", (counts.get("token") ?? 0) + 1);
  return PLACEHOLDER;
}

function plural(name: string): string {
  return name.startsWith("private member") ? "private members of keys" : `${name}s`;
}
