/** Sends the demo's requests, and compares what comes back. */
import { request } from "node:http";
import type { Exchange, Expectation } from "./scenes.ts";
import type { Echo } from "./upstream.ts";

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Sends one request over a connection of its own. */
export function send(port: number, { method, path, headers }: Exchange): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: "127.0.0.1",
      port,
      method,
      path,
      headers,
      agent: false,
      timeout: 10_000,
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer to ${path} within 10 s`)));
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("error", reject);
      response.on("end", () => {
        const names = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
        resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(names), body });
      });
    });
    outgoing.end();
  });
}

/** The differences between the answer and the expected one, one line each. */
export function differences(answer: Answer, expect: Expectation, port: number): string[] {
  const found: string[] = [];
  const compare = (what: string, actual: unknown, expected: unknown) => {
    if (actual !== expected)
      found.push(`${what} is ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
  };
  compare("status", answer.status, expect.status);
  if (expect.body !== undefined) compare("body", answer.body, expect.body);
  for (const [name, value] of Object.entries(expect.headers ?? {})) {
    compare(name, answer.headers[name], value.replace("HOST", `127.0.0.1:${port}`));
  }
  if (expect.upstream === undefined || found.length > 0) return found;
  const echo = parseEcho(answer.body);
  if (echo === undefined) return [`the upstream's answer is ${JSON.stringify(answer.body)}`];
  if (expect.upstream.url !== undefined) compare("the URL upstream", echo.url, expect.upstream.url);
  for (const [name, value] of Object.entries(expect.upstream.headers ?? {})) {
    compare(`${name} upstream`, echo.headers?.[name] ?? null, value);
  }
  return found;
}

/** @returns undefined if it is something else */
function parseEcho(body: string): Partial<Echo> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
