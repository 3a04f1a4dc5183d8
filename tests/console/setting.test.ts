/** The request's listener, workload and time in a real browser: the page answers as `jwtgate explain` does with the same. */
import { writeFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openPage } from "../support/browser.ts";
import { Workspace } from "../support/cli.ts";
import { TestKey } from "../support/tokens.ts";
import { useConsole } from "../support/use-console.ts";

const used = useConsole();
const workspace = new Workspace();
const key = TestKey.generate("ES256", "k");

/** Good from 2030 to 2040. */
const TOKEN = key.token({ iss: "me", sub: "alice", nbf: 1_893_456_000, exp: 2_208_988_800 });

const POLICIES = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: me, namespace: shop}
spec:
  jwtRules: [{issuer: me, jwks: '${key.jwks}'}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: peers, namespace: shop}
spec:
  selector: {matchLabels: {app: shop}}
  action: DENY
  rules:
  - from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: paths, namespace: shop}
spec:
  action: DENY
  rules:
  - to: [{operation: {paths: [/a/b]}}]
  - to: [{operation: {ports: ["9090"]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: everywhere, namespace: root}
spec:
  action: DENY
  rules:
  - to: [{operation: {paths: [/root]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: at-the-edge, namespace: shop}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: public}]
  action: DENY
  rules:
  - to: [{operation: {paths: [/internal]}}]
`;

beforeAll(() => writeFileSync(workspace.path("policies.yaml"), POLICIES));
afterAll(() => workspace.remove());

/** A request's settings: fields of the form by their labels, and the same as options. */
interface Asked {
  path: string;
  from?: string;
  token?: true;
  fields: Record<string, string>;
  options: string[];
}

const FROM_INSIDE = { path: "/x", from: "10.1.2.3" };
const SIDECAR = "a sidecar: other proxies connect to it";

const ASKED: Asked[] = [
  { ...FROM_INSIDE, fields: {}, options: [] },
  { ...FROM_INSIDE, fields: { "The proxy is": SIDECAR }, options: ["--mode", "sidecar"] },
  { path: "/a//b", fields: {}, options: [] },
  {
    path: "/a//b",
    fields: { "Path normalisation": "MERGE_SLASHES" },
    options: ["--path-normalization", "MERGE_SLASHES"],
  },
  { path: "/x", fields: { "It listens at": "127.0.0.1:9090" }, options: ["--listen", "127.0.0.1:9090"] },
  {
    ...FROM_INSIDE,
    fields: {
      "The proxy is": SIDECAR,
      "Namespace of the workload": "shop",
      "Its labels": "app=other, version=v1",
    },
    options: ["--mode", "sidecar", "--namespace", "shop", "--labels", "app=other,version=v1"],
  },
  {
    ...FROM_INSIDE,
    fields: { "The proxy is": SIDECAR, "Namespace of the workload": "shop", "Its labels": "app=shop" },
    options: ["--mode", "sidecar", "--namespace", "shop", "--labels", "app=shop"],
  },
  {
    path: "/root",
    fields: { "Namespace of the workload": "other", "Root namespace": "root" },
    options: ["--namespace", "other", "--root-namespace", "root"],
  },
  {
    path: "/internal",
    fields: {
      "Namespace of the workload": "shop",
      "Its labels": "app=edge",
      "The Gateway that the workload implements": "public",
    },
    options: ["--namespace", "shop", "--labels", "app=edge", "--gateway", "public"],
  },
  { path: "/x", token: true, fields: { When: "2031-01-01" }, options: ["--at", "2031-01-01"] },
  { path: "/x", token: true, fields: { When: "2041-01-01" }, options: ["--at", "2041-01-01"] },
  { path: "/x", token: true, fields: { When: "1800000000" }, options: ["--at", "1800000000"] },
];

/** What `jwtgate explain` says. */
function explained({ path, from, token, options }: Asked): { verdict: string; at: string | null } {
  const headers = from === undefined ? [] : ["-H", `x-forwarded-for: ${from}`];
  const tokens = token ? ["--token", TOKEN] : [];
  const args = [
    "explain",
    "-f",
    "policies.yaml",
    "--path",
    path,
    ...headers,
    ...tokens,
    ...options,
    "--json",
  ];
  const { stdout, stderr } = workspace.run(args);
  expect(stdout, stderr).not.toBe("");
  const { decision } = JSON.parse(stdout) as {
    decision: { forwarded: boolean; status: number; body: string; at: string | null };
  };
  const { forwarded, status, body, at } = decision;
  return { verdict: forwarded ? "200 forwarded to the service" : `${status} ${body}`, at };
}

async function openPolicies(page: Page): Promise<void> {
  await page.getByRole("tab", { name: "Playground" }).click();
  const file = { name: "policies.yaml", mimeType: "application/yaml", buffer: Buffer.from(POLICIES) };
  await page.getByLabel("Examples", { exact: true }).selectOption("require a token");
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await page.getByLabel("Files to open").setInputFiles(file);
  await page.getByText("Headers, body, address, TLS, curl").click();
  await page.getByText(/^Listener, workload, time/).click();
}

/** Fills the form in, and waits for its answer. */
async function ask(page: Page, { path, from, token, fields }: Asked): Promise<void> {
  const usual = page.getByRole("button", { name: "As usual" });
  if (await usual.isVisible()) await usual.click();
  await page.getByLabel("Path", { exact: true }).fill(path);
  await page
    .getByLabel("Headers, one per line", { exact: true })
    .fill(from === undefined ? "" : `x-forwarded-for: ${from}`);
  await page.getByRole("radio", { name: token ? "Paste one" : "No token" }).check();
  if (token) await page.getByLabel("The token; it stays in this page").fill(TOKEN);
  for (const [label, value] of Object.entries(fields)) {
    const field = page.getByLabel("Playground").getByLabel(label, { exact: true });
    if ((await field.evaluate((element) => element.nodeName)) === "SELECT") await field.selectOption(value);
    else await field.fill(value);
  }
}

test("gives the same answer as `jwtgate explain` with the same options", async () => {
  const { page, messages, close } = await openPage(used.browser, used.site.url);
  await openPolicies(page);
  const verdicts = new Set<string>();
  for (const asked of ASKED) {
    await ask(page, asked);
    const { verdict, at } = explained(asked);
    await page.locator(".verdict").filter({ hasText: verdict }).waitFor();
    if (at !== null) {
      const place = at.replace(/:\d+$/, "");
      expect(await page.locator(".answer p .at").first().textContent(), JSON.stringify(asked)).toBe(place);
    }
    verdicts.add(verdict);
  }
  // Both answers of the policies, and three of the token.
  expect([...verdicts].sort()).toEqual([
    "200 forwarded to the service",
    "401 Jwt is expired",
    "401 Jwt not yet valid",
    "403 RBAC: access denied",
  ]);
  await page.getByLabel("Its labels", { exact: true }).fill("shop");
  await page.getByText('"shop" is not a label: write NAME=VALUE').waitFor();
  expect(messages).toEqual([]);
  await close();
});

test("is saved and restored with the request", async () => {
  const { page, messages, close } = await openPage(used.browser, used.site.url);
  await openPolicies(page);
  const [, , , , , , asked] = ASKED;
  if (asked === undefined) throw new Error("there is no such request");
  await ask(page, { ...asked, fields: { ...asked.fields, When: "2031-01-01" } });
  await page.locator(".verdict").filter({ hasText: "403" }).waitFor();
  await page.getByRole("button", { name: "Save this request" }).click();
  await page.locator(".saved").getByText("1 of 1 as expected").waitFor();
  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download policies.test.yaml" }).click();
  await (await downloading).saveAs(workspace.path("policies.test.yaml"));
  const { status, stdout } = workspace.run(["test", "policies.test.yaml"]);
  expect(status, stdout).toBe(0);
  // Another workload belongs in another file.
  const labels = page.getByLabel("Its labels", { exact: true });
  await labels.fill("app=other");
  await page.locator(".verdict").filter({ hasText: "200" }).waitFor();
  await page.getByRole("button", { name: "Save this request" }).click();
  await page.getByText("policies.test.yaml has tests of another listener, workload or time").waitFor();
  await page.locator(".saved").getByRole("button", { name: "1. GET /x: 403" }).click();
  await page.locator(".verdict").filter({ hasText: "403" }).waitFor();
  expect(await labels.inputValue()).toBe("app=shop");
  expect(await page.getByLabel("When", { exact: true }).inputValue()).toBe("2031-01-01");
  expect(messages).toEqual([]);
  await close();
});
