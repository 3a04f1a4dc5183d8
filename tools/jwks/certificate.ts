/** Whether bytes are a certificate: istiod refuses a key set whose `x5c` has anything else in it. */
import { type Element, elements, elementsOf, TAG } from "../encoding/der.ts";

/** Whether an element is what it should be. Absent elements are nothing. */
type Check = (element: Element | undefined) => boolean;

const is =
  (...tags: number[]): Check =>
  (element) =>
    element !== undefined && tags.includes(element.tag);

/** An element of that tag with these elements in it, and no more. */
const holds =
  (tag: number, ...checks: readonly Check[]): Check =>
  (element) => {
    const inner = element?.tag === tag ? elements(element.content) : undefined;
    return inner?.length === checks.length && checks.every((check, i) => check(inner[i]));
  };

/** An element of that tag with any number of such elements in it. */
const listOf =
  (tag: number, check: Check): Check =>
  (element) =>
    element?.tag === tag && elements(element.content)?.every(check) === true;

const either =
  (...checks: readonly Check[]): Check =>
  (element) =>
    checks.some((check) => check(element));

const any: Check = (element) => element !== undefined;

/** The last byte of a number in base 128 has its highest bit clear. */
const identifier: Check = (element) =>
  element?.tag === TAG.objectIdentifier && (element.content.at(-1) ?? 0x80) < 0x80;

/** RFC 5280 §4.1 and §4.1.1.2. Parameters are of any kind. */
const algorithm = either(holds(TAG.sequence, identifier), holds(TAG.sequence, identifier, any));
const name = listOf(TAG.sequence, listOf(TAG.set, holds(TAG.sequence, identifier, any)));
const time = is(TAG.utcTime, TAG.generalizedTime);
const key = holds(TAG.sequence, algorithm, is(TAG.bitString));
const version: Check = (element) =>
  holds(0xa0, is(TAG.integer))(element) && element?.content.length === 3 && (element.content[2] ?? 3) < 3;
const extension = either(
  holds(TAG.sequence, identifier, is(TAG.octetString)),
  holds(TAG.sequence, identifier, is(TAG.boolean), is(TAG.octetString)),
);
/** What may follow the key, each once and in this order: unique identifiers and extensions. */
const OPTIONAL = [is(0x81), is(0x82), holds(0xa3, listOf(TAG.sequence, extension))];

/** RFC 5280 §4.1, without what is inside of extensions and keys. */
export function isCertificate(bytes: Uint8Array): boolean {
  const [certificate, ...parts] = elementsOf(bytes, TAG.sequence) ?? [];
  if (certificate?.tag !== TAG.sequence || parts.length !== 2) return false;
  if (!algorithm(parts[0]) || !is(TAG.bitString)(parts[1])) return false;
  const all = elements(certificate.content) ?? [];
  const fields = version(all[0]) ? all.slice(1) : all;
  const required = [is(TAG.integer), algorithm, name, holds(TAG.sequence, time, time), name, key];
  let option = 0;
  return (
    required.every((check, i) => check(fields[i])) &&
    fields.slice(required.length).every((field) => {
      const found = OPTIONAL.findIndex((check, i) => i >= option && check(field));
      option = found + 1;
      return found >= 0;
    })
  );
}
