/** Which methods reach the filter: over HTTP/2 any token (RFC 9110, 5.6.2), as tools/prove/texts.ts assumes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gate } from "../support/gate.ts";
import { http2 } from "../support/http2.ts";

const SYMBOLS = [..."!#$%&'*+-.^_`|~"];
/** A `*` at the beginning or the end of a value is a wildcard, so each symbol is inside. */
const METHODS = SYMBOLS.map((symbol) => `f${symbol}o`);
const policy = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: methods, namespace: ns}
spec:
  action: DENY
  rules:
  - to: [{operation: {methods: ${JSON.stringify([...METHODS, "brew"])}}}]
`;

let gate: Gate;
beforeAll(async () => {
  gate = await Gate.start(policy);
});
afterAll(() => gate?.stop());

const status = async (method: string) =>
  (await http2({ host: "127.0.0.1", port: gate.port }, { method })).status;

describe("over HTTP/2", () => {
  test.each([...METHODS, "brew"])("%s reaches the filter", async (method) => {
    expect(await status(method)).toBe(403);
  });

  test("a method that no rule names passes", async () => {
    expect(await status("GET")).toBe(200);
  });

  test.each(["f@o", "f o", "f,o", "f(o", "f/o"])("%j is refused before the filter", async (method) => {
    // Envoy resets the stream or closes the connection, or answers 400.
    const answer = await status(method).catch(() => "reset");
    expect(["reset", 400]).toContain(answer);
  });
});
