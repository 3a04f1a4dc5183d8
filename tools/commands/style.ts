/** Colours, where a person looks: on a terminal, unless NO_COLOR says otherwise (https://no-color.org). */

export interface Style {
  good(text: string): string;
  bad(text: string): string;
  faint(text: string): string;
  strong(text: string): string;
}

const plain = (text: string) => text;

/** SGR parameters of ECMA-48 §8.3.117: what switches on, and what switches off again. */
const sgr = (on: number, off: number) => (text: string) => `\x1b[${on}m${text}\x1b[${off}m`;

/** @param isTerminal of the stream that is written to */
export function styleFor({ isTTY = false }: { isTTY?: boolean | undefined }): Style {
  const coloured = isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
  if (!coloured) return { good: plain, bad: plain, faint: plain, strong: plain };
  return { good: sgr(32, 39), bad: sgr(31, 39), faint: sgr(2, 22), strong: sgr(1, 22) };
}
