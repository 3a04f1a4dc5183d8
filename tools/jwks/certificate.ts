/** Whether bytes are a certificate: istiod refuses a key set whose `x5c` has anything else in it. */
import { type Element, elements, elementsOf, TAG } from "../encoding/der.ts";

/** The parts of a TBSCertificate after its version (RFC 5280 §4.1), up to the key. */
const { integer, sequence } = TAG;
const PARTS = [integer, sequence, sequence, sequence, sequence, sequence];

/** RFC 5280 §4.1 without what is inside of names, algorithms and extensions. */
export function isCertificate(bytes: Uint8Array): boolean {
  const [tbs, algorithm, signature, ...more] = elementsOf(bytes, sequence) ?? [];
  if (tbs?.tag !== sequence || algorithm?.tag !== sequence || more.length > 0) return false;
  if (signature?.tag !== TAG.bitString) return false;
  const parts = elements(tbs.content) ?? [];
  // [0], the version, is absent in version 1; [1] to [3] are optional.
  const [first] = parts;
  const [serial, ...rest] = first?.tag === 0xa0 ? parts.slice(1) : parts;
  const named = serial === undefined ? [] : [serial, ...rest];
  const extra = named.slice(PARTS.length).map(({ tag }) => tag & 0x1f);
  return (
    PARTS.every((tag, i) => named[i]?.tag === tag) &&
    extra.every((tag, i) => tag > (extra[i - 1] ?? 0) && tag <= 3) &&
    isObjectFirst(algorithm) &&
    isObjectFirst(named[1]) &&
    isValidity(named[3]) &&
    isKey(named[5])
  );
}

/** Whether it is an AlgorithmIdentifier: an object identifier, and parameters. */
function isObjectFirst(element: Element | undefined): boolean {
  const [id] = elements(element?.content ?? new Uint8Array()) ?? [];
  return id?.tag === TAG.objectIdentifier && id.content.length > 0;
}

function isValidity(element: Element | undefined): boolean {
  const times = elements(element?.content ?? new Uint8Array()) ?? [];
  return times.length === 2 && times.every(({ tag }) => tag === TAG.utcTime || tag === TAG.generalizedTime);
}

/** Whether it is a SubjectPublicKeyInfo. */
function isKey(element: Element | undefined): boolean {
  const [algorithm, key, ...more] = elements(element?.content ?? new Uint8Array()) ?? [];
  return (
    algorithm?.tag === TAG.sequence &&
    isObjectFirst(algorithm) &&
    key?.tag === TAG.bitString &&
    more.length === 0
  );
}
