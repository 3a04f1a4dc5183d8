/** A comparison that takes long, on a terminal: its progress, and what Ctrl-C leaves. */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../fuzz/random.ts";
import { TOOL, Workspace } from "../support/cli.ts";
import { KEY, onTerminal } from "../support/terminal.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());

const HEADERS = 40;
const RULES = 120;

beforeAll(() => {
  const random = new Random(1);
  const condition = (header: number, isThere: boolean) => ({
    key: `request.headers[x-${header}]`,
    [isThere ? "values" : "notValues"]: ["a"],
  });
  const rule = (when: object[]) => ({ to: [{ operation: { paths: ["/hard"] } }], when });
  const old: object[] = [];
  // The same requests, with each rule in two parts: that it is the same takes minutes to find out.
  const fresh: object[] = [{ to: [{ operation: { paths: ["/a"] } }] }];
  for (let i = 0; i < RULES; i++) {
    const headers = new Set<number>();
    while (headers.size < 5) headers.add(random.below(HEADERS));
    const [other = 0, ...own] = headers;
    const when = own.map((header) => condition(header, random.oneIn(2)));
    old.push(rule(when));
    for (const isThere of [true, false]) fresh.push(rule([...when, condition(other, isThere)]));
  }
  for (const [name, rules] of Object.entries({ old, new: fresh })) {
    const policy = {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: "shop" },
      spec: { action: "ALLOW", rules },
    };
    writeFileSync(workspace.path(`${name}.yaml`), JSON.stringify(policy));
  }
});

test("a line shows the progress, and Ctrl-C prints what is known by then and ends with 1", () => {
  const { status, text, missing } = onTerminal(
    [process.execPath, TOOL, "diff", "--old", "old.yaml", "--new", "new.yaml"],
    [["1 found", KEY.interrupt, "at once"]],
    workspace.folder,
  );
  expect(missing).toBeNull();
  expect(text).toMatch(/\rcomparing: \d+ of \d+ cases of tokens, \d+ of requests, 1 found/);
  // The line is gone before the result is printed.
  expect(text.slice(text.lastIndexOf("comparing:"))).toMatch(
    / found(\^C)?\ropened: GET \/a of localhost\r?\n/,
  );
  expect(text).toMatch(/not decided: the comparison was interrupted\r?\n1 opened\r?\n$/);
  expect(text).not.toContain("equal");
  expect(status).toBe(1);
});

test("nothing of the progress is written if nobody watches", () => {
  const { stderr } = workspace.run(["diff", "--old", "old.yaml", "--new", "old.yaml"]);
  expect(stderr).toBe("");
});
