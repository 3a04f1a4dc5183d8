/** A request as a curl line that users paste into a shell. */
import { shellWord } from "../shell.ts";

/** What is sent. */
export interface Sent {
  method: string;
  path: string;
  /** The Host header; that of the URL, if it is the same. */
  authority: string;
  headers: readonly (readonly [string, string])[];
}

/**
 * @param origin of the gateway, such as `http://127.0.0.1:8080`
 * @param variables texts that are written as a variable of the shell, by its name
 */
export function curlLine(
  { method, path, authority, headers }: Sent,
  origin: string,
  variables: ReadonlyMap<string, string> = new Map(),
): string {
  const word = (text: string): string => {
    for (const [variable, value] of variables) {
      const at = text.indexOf(value);
      if (at < 0) continue;
      const [before, after] = [text.slice(0, at), text.slice(at + value.length)];
      const [left, right] = [before, after].map((part) => (part === "" ? "" : shellWord(part)));
      return `${left}"$${variable}"${right}`;
    }
    return shellWord(text);
  };
  const all = authority === "localhost" ? headers : [["Host", authority] as const, ...headers];
  return [
    method === "HEAD" ? "curl -I" : "curl -i",
    // Brackets and braces of a path are not ranges.
    ...(/[[\]{}]/.test(path) ? ["-g"] : []),
    ...(/\/\.\.?(\/|$)/.test(path) ? ["--path-as-is"] : []),
    ...(method === "GET" || method === "HEAD" ? [] : ["-X", method]),
    ...all.flatMap(([name, value]) => ["-H", word(`${name}: ${value}`)]),
    word(`${origin}${path}`),
  ].join(" ");
}
