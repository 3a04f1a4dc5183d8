/** @param text an even number of hexadecimal digits: a constant of this program */
export function fromHex(text: string): StaticArray<u8> {
  const result = new StaticArray<u8>(text.length / 2);
  for (let i = 0; i < result.length; i++) result[i] = <u8>parseInt(text.substring(2 * i, 2 * i + 2), 16);
  return result;
}
