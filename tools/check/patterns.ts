/** Compares patterns of policies: whether one matches every value that another matches. */
import { type Attribute, stringMatch } from "../istio/attributes.ts";
import { isPathTemplate } from "../istio/path-template.ts";
import type { Located } from "../istio/yaml.ts";

/** A matcher for each list that is compared with many values. */
const matchers = new WeakMap<readonly Located<string>[], (narrow: string) => boolean>();

/**
 * Whether every value that the pattern `narrow` matches is also matched by one of the others. Sound but not complete:
 * false if unclear.
 *
 * @param attribute that all of them are about
 */
export function covers(
  attribute: Attribute | undefined,
  wide: readonly Located<string>[],
  narrow: string,
): boolean {
  const matcher = matchers.get(wide) ?? matcherOf(attribute, wide);
  matchers.set(wide, matcher);
  return matcher(narrow);
}

/**
 * Makes a function that reports whether one of the patterns covers another. Its time hardly depends on their number.
 */
function matcherOf(
  attribute: Attribute | undefined,
  values: readonly Located<string>[],
): (narrow: string) => boolean {
  const written = new Set(values.map(({ value }) => value));
  const patterns = attribute?.patterns;
  if (patterns === undefined) return (narrow) => written.has(narrow);
  const fold = (value: string) => (patterns.ignoresCase ? value.toLowerCase() : value);
  const [exact, prefixes, suffixes] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let any = false;
  for (const value of written) {
    if (isPathTemplate(value)) continue;
    const match = stringMatch(fold(value));
    if ("nonEmpty" in match) any = true;
    else if ("prefix" in match) prefixes.add(match.prefix);
    else if ("suffix" in match) suffixes.add(match.suffix);
    else if ("exact" in match) exact.add(match.exact);
  }
  const [prefixLengths, suffixLengths] = [lengthsOf(prefixes), lengthsOf(suffixes)];
  const begins = (text: string) => prefixLengths.some((length) => prefixes.has(text.slice(0, length)));
  const ends = (text: string) =>
    suffixLengths.some((length) => suffixes.has(text.slice(Math.max(0, text.length - length))));
  return (narrow) => {
    if (written.has(narrow)) return true;
    if (isPathTemplate(narrow)) return false;
    const match = stringMatch(fold(narrow));
    // `*` is any text except the empty one and line breaks; for headers it is any text.
    if (any && (patterns.anyIsEmptyToo || ("exact" in match && !match.exact.includes("\n")))) return true;
    if ("prefix" in match) return begins(match.prefix);
    if ("suffix" in match) return ends(match.suffix);
    return "exact" in match && (exact.has(match.exact) || begins(match.exact) || ends(match.exact));
  };
}

function lengthsOf(texts: ReadonlySet<string>): number[] {
  return [...new Set([...texts].map(({ length }) => length))];
}

/** The key of a pattern. `keysAround` of a pattern that it covers includes this key. */
export function keyOf(attribute: Attribute, value: string): string {
  const { patterns } = attribute;
  if (patterns === undefined || isPathTemplate(value)) return `=${value}`;
  const match = stringMatch(patterns.ignoresCase ? value.toLowerCase() : value);
  if ("prefix" in match) return `<${match.prefix}`;
  if ("suffix" in match) return `>${match.suffix}`;
  return "exact" in match ? `=${match.exact}` : "*";
}

/**
 * The keys that patterns which cover a value can have.
 *
 * @param lengths that the text of a key can have
 */
export function* keysAround(
  attribute: Attribute,
  value: string,
  lengths: Iterable<number>,
): Generator<string> {
  const key = keyOf(attribute, value);
  yield key;
  if (attribute.patterns === undefined || isPathTemplate(value)) return;
  yield "*";
  const [kind, text] = [key[0], key.slice(1)];
  for (const length of lengths) {
    if (length > text.length) continue;
    if (kind !== ">") yield `<${text.slice(0, length)}`;
    if (kind !== "<") yield `>${text.slice(text.length - length)}`;
  }
}
