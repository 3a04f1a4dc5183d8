/** Asks Envoy's admin interface, at a network address or a socket in the file system. */
import { request } from "node:http";

/** No answer of Envoy to our requests is larger. */
const MAX_BYTES = 64 * 1024 * 1024;

const TIMEOUT_MS = 10_000;

export interface AdminAnswer {
  status: number;
  body: string;
}

/**
 * @param address `HOST:PORT`, or the socket's absolute path
 * @param path with its query
 * @throws {Error} if there is no answer
 */
export function askAdmin(address: string, path: string): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (words: string) => reject(new Error(`Envoy's admin ${words} (${path})`));
    const asked = request({ ...targetOf(address), path, agent: false, timeout: TIMEOUT_MS });
    asked.on("timeout", () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    asked.on("error", (error) => fail(`did not answer: ${error.message}`));
    asked.on("response", (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on("data", (part: Buffer) => {
        size += part.length;
        if (size > MAX_BYTES) response.destroy(new Error("the answer is too large"));
        else parts.push(part);
      });
      response.on("error", (error) => fail(`did not answer: ${error.message}`));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }),
      );
    });
    asked.end();
  });
}

function targetOf(address: string): { socketPath: string } | { host: string; port: string } {
  if (address.startsWith("/")) return { socketPath: address };
  const colon = address.lastIndexOf(":");
  return {
    host: address.slice(0, colon).replace(/^\[(.*)\]$/, "$1"),
    port: address.slice(colon + 1),
  };
}

/**
 * The answer as JSON.
 *
 * @throws {Error} if there is none, or it is not JSON
 */
export async function askAdminForJson(address: string, path: string): Promise<unknown> {
  const { status, body } = await askAdmin(address, path);
  if (status !== 200) throw new Error(`Envoy's admin answered with ${status} (${path})`);
  try {
    return JSON.parse(body);
  } catch {
    throw new Error(`Envoy's admin answered with something other than JSON (${path})`);
  }
}
