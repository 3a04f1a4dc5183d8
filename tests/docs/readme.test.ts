/** The policy that the README shows gives the answers of the table after it. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { MODULE_FILE } from "../../tools/package.ts";
import { compile } from "../../tools/targets/compile.ts";
import { blocks, readMarkdown } from "./markdown.ts";

const readme = readMarkdown("README.md");

/** Istio's sample token (github.com/istio/istio, security/tools/jwt/samples/demo.jwt). */
const TOKEN =
  "eyJhbGciOiJSUzI1NiIsImtpZCI6IkRIRmJwb0lVcXJZOHQyenBBMnFYZkNtcjVWTzVaRXI0UnpIVV8tZW52dlEiLCJ0eXAiOiJKV1QifQ.eyJleHAiOjQ2ODU5ODk3MDAsImZvbyI6ImJhciIsImlhdCI6MTUzMjM4OTcwMCwiaXNzIjoidGVzdGluZ0BzZWN1cmUuaXN0aW8uaW8iLCJzdWIiOiJ0ZXN0aW5nQHNlY3VyZS5pc3Rpby5pbyJ9.CfNnxWP2tcnR9q0vxyxweaF3ovQYHYZl82hAUsn21bwQd9zP7c-LS9qd_vpdLG4Tn1A15NxfCjp5f7QNBUo-KC9PJqYpgGbaXhaGx7bEdFWjcwv3nZzvc7M__ZpaCERdwU7igUmJqYGBYQ51vr2njU9ZimyKkfDe3axcyiBZde7G6dabliUosJvvKOPcKIWPccCgefSj_GNfwIip3-SsFdlR7BtbVUcqR-yv-XOxJ3Uc1MI0tz3uMiiZcyPV7sNCU4KRnemRIMHVOfuvHsU60_GhGbiSFzgPTAa9WTltbnarTbxudb_YEOx12JiwYToeX0DCPb43W1tzIBxgm8NxUg";

/** The meaning of the columns in the README's table. */
const AUTHORIZATION: Record<string, string | undefined> = {
  "no token": undefined,
  "the issuer's token": `Bearer ${TOKEN}`,
  "`Bearer invalid token`": "Bearer invalid token",
};

interface Case {
  path: string;
  column: string;
  status: number;
}

/** The rows of the table whose first column is `request`. */
function cases(): Case[] {
  const lines = readme.split("\n");
  const start = lines.findIndex((line) => line.startsWith("| request |"));
  const cells = (line = "") =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  const [, ...columns] = cells(lines[start]);
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"));
  return lines.slice(start + 2, end).flatMap((line) => {
    const [path = "", ...statuses] = cells(line);
    return statuses.map((status, index) => ({
      path: path.replaceAll("`", ""),
      column: columns[index] ?? "",
      status: Number(status),
    }));
  });
}

describe("the README's policy", () => {
  let host: Host;

  beforeAll(async () => {
    const shown = blocks(readme).find(({ info }) => info === "yaml")?.text ?? "";
    const { configuration, diagnostics } = compile([{ name: "README.md", text: shown }], {
      target: "envoy",
    });
    expect(diagnostics).toEqual([]);
    host = await createNodeHost(readFileSync(MODULE_FILE));
    expect(host.configure(configuration)).toMatchObject({ accepted: true });
  });

  test.each(cases())("$path with $column: $status", async ({ path, column, status }) => {
    expect(Object.keys(AUTHORIZATION)).toContain(column);
    const authorization = AUTHORIZATION[column];
    const headers: [string, string][] = authorization === undefined ? [] : [["authorization", authorization]];
    const { answer, upstream } = await host.request({ path, headers });
    expect(upstream ? 200 : answer?.status).toBe(status);
    if (status === 403) expect(answer?.body).toBe("RBAC: access denied");
    if (status === 401)
      expect(answer?.headers).toContainEqual(["www-authenticate", expect.stringContaining("Bearer")]);
  });

  test("has a table of answers", () => expect(cases()).toHaveLength(9));
});
