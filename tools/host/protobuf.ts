/** The protobuf wire format as far as Envoy's foreign functions need it: messages of length-delimited fields. */

/**
 * Length-delimited fields by number; the last one if a field repeats.
 * @returns undefined if the bytes are not a message of such fields
 */
export function readFields(bytes: Uint8Array): Map<number, Uint8Array> | undefined {
  const fields = new Map<number, Uint8Array>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 32; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  };
  while (at < bytes.length) {
    const tag = varint();
    const length = varint();
    if (tag % 8 !== LENGTH_DELIMITED || !(at + length <= bytes.length)) return undefined;
    fields.set(Math.floor(tag / 8), bytes.subarray(at, at + length));
    at += length;
  }
  return fields;
}

const LENGTH_DELIMITED = 2;

/** One length-delimited field. */
export function writeField(number: number, bytes: Uint8Array): Uint8Array {
  const head = [number * 8 + LENGTH_DELIMITED];
  let length = bytes.length;
  while (length >= 0x80) {
    head.push((length % 0x80) + 0x80);
    length = Math.floor(length / 0x80);
  }
  head.push(length);
  return Uint8Array.of(...head, ...bytes);
}
