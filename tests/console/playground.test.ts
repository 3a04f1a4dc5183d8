/** The playground in a real browser: it shows the steps that the module took. */

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { axeViolations } from "../support/axe.ts";
import { openPage } from "../support/browser.ts";
import { useConsole } from "../support/use-console.ts";

const used = useConsole();

/** Opens the playground; the page must not have printed anything when it is closed. */
async function openPlayground(options: Parameters<typeof openPage>[2] = {}) {
  const opened = await openPage(used.browser, used.site.url, options);
  await opened.page.getByRole("tab", { name: "Playground" }).click();
  const close = async () => {
    expect(opened.messages).toEqual([]);
    await opened.close();
  };
  return { ...opened, close };
}

/** Waits until the answer is this one. */
async function answered(page: Page, text: string | RegExp): Promise<void> {
  await page.locator(".verdict").filter({ hasText: text }).waitFor();
}

/** Replaces the text of the editor. */
async function type(page: Page, text: string): Promise<void> {
  await page.locator(".code .cm-content").click();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.insertText(text);
}

const POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: admins}
spec:
  action: DENY
  rules:
  - to:
    - operation:
        paths: [/admin]
`;

test("Enter indents as YAML needs it, so that the fields of the new line are offered", async () => {
  const { page, close } = await openPlayground();
  await answered(page, "200 forwarded");
  await type(page, POLICY.trimEnd());
  await page.locator(".code .cm-content").click();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.type("\nmethods: [GET]\n");
  await page.keyboard.press("Home");
  await page.keyboard.type("  - from: # anybody\n- source:\nnotN");
  await page.getByRole("option", { name: "notNamespaces" }).click();
  await page.keyboard.type("[a]");
  const lines = await page.locator(".code .cm-line").allTextContents();
  expect(lines.slice(-4)).toEqual([
    "        methods: [GET]",
    "  - from: # anybody",
    "      - source:",
    "          notNamespaces: [a]",
  ]);
  await close();
});

describe("a request", () => {
  test("is answered with a token made in the page, and each step leads to its line", async () => {
    const { page, close } = await openPlayground();
    await answered(page, "200 forwarded");
    await page.getByRole("button", { name: "one-principal.yaml:23" }).click();
    expect(await page.locator(".cm-lit").textContent()).toContain("requestPrincipals");
    await page.getByLabel("Claims, as JSON", { exact: true }).fill('{"sub": "somebody"}');
    await answered(page, "403 RBAC: access denied");
    await page.getByLabel("Spoil it", { exact: true }).selectOption("expired");
    await answered(page, "401 Jwt is expired");
    await page.getByLabel("The policies trust this page's key", { exact: true }).uncheck();
    await page.getByLabel("Spoil it", { exact: true }).selectOption("");
    await answered(page, "401 Jwks doesn't have key to match kid or alg from Jwt");
    await page.getByRole("radio", { name: "No token" }).check();
    await answered(page, "403 RBAC: access denied");
    await close();
  });

  test("has claims that are typed into a form, or as JSON", async () => {
    const { page, close } = await openPlayground();
    await answered(page, "200 forwarded");
    await page.getByLabel("Claims as a form").check();
    expect(await page.getByLabel("Name of claim 1").inputValue()).toBe("sub");
    await page.getByLabel("Value of claim 1").fill("somebody");
    await answered(page, "403 RBAC: access denied");
    await page.getByLabel("Value of claim 1").fill("testing@secure.istio.io");
    await answered(page, "200 forwarded");
    const claims: [string, string][] = [
      ["level", "3"],
      ["number", '"3"'],
      ["roles", '["a", "b"]'],
      ["exp", "1"],
    ];
    for (const [index, [name, value]] of claims.entries()) {
      await page.getByRole("button", { name: "Add a claim" }).click();
      await page.getByLabel(`Name of claim ${index + 2}`).fill(name);
      await page.getByLabel(`Value of claim ${index + 2}`).fill(value);
    }
    await answered(page, "401 Jwt is expired");
    expect(await axeViolations(page)).toEqual([]);
    await page.getByRole("button", { name: "Remove claim 5" }).click();
    await answered(page, "200 forwarded");
    await page.getByLabel("Claims as a form").uncheck();
    const json = page.getByLabel("Claims, as JSON", { exact: true });
    expect(JSON.parse(await json.inputValue())).toEqual({
      sub: "testing@secure.istio.io",
      level: 3,
      number: "3",
      roles: ["a", "b"],
    });
    await json.fill("{");
    await page.getByText("the claims are not JSON").waitFor();
    await page.getByLabel("Claims as a form").check();
    await page.getByText("The claims are not a JSON object: edit them as JSON.").waitFor();
    await close();
  });

  test("is read from a curl line, with its token", async () => {
    const { page, close } = await openPlayground();
    await page.getByText("Headers, body, address, TLS, curl").click();
    await page
      .getByLabel("Or paste a curl line, which is read and not run", { exact: true })
      .fill(
        "curl -X DELETE -H 'Authorization: Bearer abc' -H 'x-tenant: acme' https://shop.example/orders?id=1",
      );
    await answered(page, "401 Jwt is not in the form of Header.Payload.Signature");
    expect(await page.getByLabel("Method", { exact: true }).inputValue()).toBe("DELETE");
    expect(await page.getByLabel("Path", { exact: true }).inputValue()).toBe("/orders?id=1");
    expect(await page.getByLabel("Host", { exact: true }).inputValue()).toBe("shop.example");
    expect(await page.getByLabel("Headers, one per line", { exact: true }).inputValue()).toContain(
      "x-tenant: acme",
    );
    await close();
  });

  test("follows the policies as they are edited, and errors are marked at their places", async () => {
    const { page, close } = await openPlayground();
    await page.getByRole("button", { name: "New file" }).click();
    await type(page, POLICY);
    await page.getByLabel("Path", { exact: true }).fill("/admin");
    await answered(page, "403 RBAC: access denied");
    await page.locator(".steps .at", { hasText: "policy.yaml" }).first().waitFor();
    await type(page, POLICY.replace("paths", "pathz"));
    const problem = page.locator(".answer li", { hasText: "did you mean `paths`?" });
    await problem.waitFor();
    expect(await problem.textContent()).toContain("policy.yaml:9");
    await page.locator(".code .cm-lintRange-error").waitFor();
    await close();
  });

  test("is made over TLS, with a certificate of the client", async () => {
    const { page, close } = await openPlayground();
    await page.getByRole("button", { name: "New file" }).click();
    await type(
      page,
      POLICY.replace("to:", "from:")
        .replace("operation:", "source:")
        .replace("paths: [/admin]", "namespaces: [intruders]"),
    );
    await answered(page, "200 forwarded");
    await page.getByText("Headers, body, address, TLS, curl").click();
    const client = page.getByLabel("TLS: URIs of the client's certificate");
    await client.fill("spiffe://cluster.local/ns/intruders/sa/one");
    await answered(page, "403 RBAC: access denied");
    await client.fill("spiffe://cluster.local/ns/friends/sa/one");
    await answered(page, "200 forwarded");
    await close();
  });

  test("is made with every algorithm", async () => {
    const { page, close } = await openPlayground();
    await answered(page, "200 forwarded");
    const select = page.getByLabel("Algorithm", { exact: true });
    for (const algorithm of await select.locator("option").allTextContents()) {
      await select.selectOption(algorithm);
      // Both names are of one algorithm; the filter's keys have the former.
      const name = algorithm === "Ed25519" ? "EdDSA" : algorithm;
      await page.locator(".steps", { hasText: `, ${name}, ` }).waitFor();
      await answered(page, "200 forwarded");
    }
    await close();
  });
});

describe("saved requests", () => {
  test("are a test file, run at every change, and show their request", async () => {
    const { page, close } = await openPlayground();
    const saved = page.locator(".saved");
    await saved.getByText("7 of 7 as expected").waitFor();
    await answered(page, "200 forwarded");
    await page.getByLabel("Path", { exact: true }).fill("/orders");
    await page.getByRole("button", { name: "Save this request" }).click();
    await saved.getByText("8 of 8 as expected").waitFor();
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download one-principal.test.yaml" }).click();
    const folder = mkdtempSync(join(tmpdir(), "jwtgate-console-"));
    const file = join(folder, "one-principal.test.yaml");
    await (await download).saveAs(file);
    copyFileSync("envoy/istio/one-principal.yaml", join(folder, "one-principal.yaml"));
    const { status, stdout } = spawnSync(process.execPath, ["dist/jwtgate.mjs", "test", file], {
      encoding: "utf8",
    });
    expect(stdout).toContain("8. GET /orders: 200");
    expect(status).toBe(0);
    rmSync(folder, { recursive: true });
    await saved.getByRole("button", { name: "an expired token" }).click();
    await answered(page, "401 Jwt is expired");
    await close();
  });

  test("are compared between two versions of the policies", async () => {
    const { page, close } = await openPlayground();
    const saved = page.locator(".saved");
    await saved.getByText("7 of 7 as expected").waitFor();
    await page.getByRole("button", { name: "Compare from here" }).click();
    await saved.getByText("The answers to all saved requests are the same as before.").waitFor();
    await type(page, POLICY.replace("/admin", "/productpage"));
    await saved
      .getByText(/answers? to [1-9] saved requests? changed|there is no key|no rule of the policies/)
      .first()
      .waitFor();
    await page.locator(".comparison .cm-mergeView").waitFor();
    await close();
  });

  test("show in the margin which rules they reach", async () => {
    const { page, close } = await openPlayground();
    const mark = page.locator(".cm-reach", { hasText: "2" });
    await mark.waitFor();
    expect(await mark.getAttribute("title")).toContain("2 of the 4 saved requests");
    await close();
  });
});

describe("a change of the policies", () => {
  const changes = (page: Page) => page.locator(".changes");

  test("is shown by requests whose answer changes, which can be explained", async () => {
    const { page, close } = await openPlayground();
    await answered(page, "200 forwarded");
    await type(page, POLICY);
    await page.getByRole("button", { name: "Compare from here" }).click();
    await changes(page).getByText("Every request gets the same answer as before.").waitFor();
    await type(page, POLICY.replace("[/admin]", '["/admin/*"]'));
    await changes(page).getByText("2 kinds of requests get another answer than before.").waitFor();
    const [opened, closed] = await changes(page).getByRole("listitem").all();
    expect(await opened?.textContent()).toMatch(
      /^opened GET \/admin of localhost.*Before: 403 RBAC: access denied, .*one-principal.yaml:\d+:\d+.*Now: passes/,
    );
    expect(await closed?.textContent()).toMatch(
      /^closed GET \/admin\/ of localhost.*Before: passes.*Now: 403/,
    );
    await closed?.getByRole("button", { name: "Explain this request" }).click();
    await answered(page, "403 RBAC: access denied");
    expect(await page.getByLabel("Path", { exact: true }).inputValue()).toBe("/admin/");
    expect(await axeViolations(page)).toEqual([]);
    // A policy that does not compile is not compared.
    await type(page, POLICY.replace("action: DENY", "action: DENYING"));
    await changes(page).waitFor({ state: "detached" });
    await page.getByText("The versions were not compared, because of an error:").waitFor();
    await page.getByRole("button", { name: "End comparison" }).click();
    await page.getByText("Before and now").waitFor({ state: "detached" });
    await close();
  });

  test("is shown by a token of the issuer, which the page makes", async () => {
    const { page, close } = await openPlayground();
    await answered(page, "200 forwarded");
    await page.getByRole("button", { name: "Compare from here" }).click();
    await changes(page).getByText("Every request gets the same answer as before.").waitFor();
    const text = readFileSync("envoy/istio/one-principal.yaml", "utf8");
    await type(page, text.replace("[testing@secure.istio.io/testing", "[testing@secure.istio.io/bob"));
    const opened = changes(page)
      .getByRole("listitem")
      .filter({ hasText: /^opened/ });
    await opened.getByRole("button", { name: "Explain this request" }).click();
    await answered(page, "200 forwarded");
    expect(await page.getByLabel("Claims, as JSON", { exact: true }).inputValue()).toContain(
      '"bob@secure.istio.io"',
    );
    await close();
  });
});

describe("the editor", () => {
  test("completes fields, and describes them", async () => {
    const { page, close } = await openPlayground();
    await page.getByRole("button", { name: "New file" }).click();
    await type(page, POLICY.replace(/ {8}paths.*\n/, "        "));
    await page.keyboard.type("not");
    const options = page.locator(".cm-tooltip-autocomplete li");
    await options.first().waitFor();
    expect(await options.allTextContents()).toEqual(["notHosts", "notMethods", "notPaths", "notPorts"]);
    await page.keyboard.press("Escape");
    await type(page, POLICY);
    await page.locator(".code .cm-line", { hasText: "paths:" }).getByText("paths").hover();
    await page.locator(".cm-reference", { hasText: "The normalised path without query" }).waitFor();
    await close();
  });
});

describe("a file", () => {
  test("is renamed in a field, with only the keyboard", async () => {
    const { page, close } = await openPlayground();
    await answered(page, "200 forwarded");
    await page.locator(".saved").getByText("7 of 7 as expected").waitFor();
    const renaming = page.getByRole("button", { name: "Rename", exact: true });
    const field = page.getByLabel("New name of one-principal.yaml");
    await renaming.focus();
    await page.keyboard.press("Enter");
    await page.locator("#new-name:focus").waitFor();
    await page.keyboard.type("gate");
    expect(await field.inputValue()).toBe("gate.yaml");
    await field.fill("one-principal.test.yaml");
    await page.getByText("Another file of this page has this name.").waitFor();
    expect(await field.getAttribute("aria-invalid")).toBe("true");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    await field.waitFor({ state: "detached" });
    expect(await renaming.evaluate((element) => element.matches(":focus"))).toBe(true);
    await page.keyboard.press("Enter");
    await page.locator("#new-name:focus").waitFor();
    await field.fill("<b>gate</b>.yaml");
    expect(await axeViolations(page)).toEqual([]);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "<b>gate</b>.yaml", exact: true }).waitFor();
    await page.locator(".answer .at", { hasText: "<b>gate</b>.yaml:21" }).first().waitFor();
    await close();
  });
});

describe("the examples of the documentation", () => {
  test("are opened, compile, and answer", async () => {
    const { page, close } = await openPlayground();
    await answered(page, "200 forwarded");
    const select = page.getByLabel("Examples", { exact: true });
    const titles = (await select.locator("option").allTextContents()).slice(1);
    const yaml = readdirSync("envoy/istio").filter((file) => !/^httpbin|[.]test[.]/.test(file));
    expect(titles.map((title) => `${title.replaceAll(" ", "-")}.yaml`).sort()).toEqual(yaml.sort());
    for (const title of titles) {
      await select.selectOption(title);
      const name = `${title.replaceAll(" ", "-")}.yaml`;
      await page.getByRole("button", { name, exact: true }).waitFor();
      await page.locator(".steps .at", { hasText: name }).first().waitFor();
      expect(await page.locator(".answer .verdict").count(), title).toBe(1);
    }
    await page.getByLabel("Path", { exact: true }).fill("/admin/users");
    await page.getByText("is asked first. Its answer is unknown here").waitFor();
    await close();
  });
});

describe("what attackers paste", () => {
  const HOSTILE = `<img src=x onerror="document.title='owned'">`;

  test("is never taken for HTML", async () => {
    const { page, requests, close } = await openPlayground();
    await answered(page, "200 forwarded");
    const before = requests.length;
    await page.getByRole("button", { name: "New file" }).click();
    await type(page, POLICY.replace("/admin", `'/${HOSTILE.replaceAll("'", "")}'`));
    await page.getByLabel("Playground").getByLabel("Issuer", { exact: true }).fill(HOSTILE);
    await page
      .getByLabel("Claims, as JSON", { exact: true })
      .fill(JSON.stringify({ sub: HOSTILE, [HOSTILE]: HOSTILE }));
    await page.getByText("Headers, body, address, TLS, curl").click();
    await page.getByLabel("Headers, one per line", { exact: true }).fill(`x-a: ${HOSTILE}`);
    await page.getByText("What the token says").click();
    await page.locator(".members", { hasText: "onerror" }).first().waitFor();
    await page.getByRole("button", { name: "Save this request" }).click();
    await page.locator(".saved").getByText("8 of 8 as expected").waitFor();
    expect(await page.title()).toBe("jwtgate console");
    expect(await page.locator("img").count()).toBe(0);
    expect(requests.slice(before)).toEqual([]);
    await close();
  });
});

describe("the worker", () => {
  test("is replaced if it hangs, and the page continues", async () => {
    const { page, close } = await openPage(used.browser);
    let isFirst = true;
    await page.clock.install();
    await page.route("**/worker.js", (route) => {
      if (!isFirst) return route.continue();
      isFirst = false;
      return route.fulfill({ contentType: "text/javascript", body: "onmessage = () => { for (;;); };" });
    });
    await page.goto(used.site.url);
    await page.getByRole("tab", { name: "Playground" }).click();
    await page.getByText("There is no answer yet").waitFor();
    await page.clock.fastForward(30_000);
    await page.getByText("The engine was started again").waitFor();
    await page.getByLabel("Path", { exact: true }).fill("/again");
    await answered(page, "200 forwarded");
    await close();
  });
});

describe("accessibility", () => {
  test("the keyboard is enough: edit, leave the editor, ask, save", async () => {
    const { page, close } = await openPage(used.browser, used.site.url);
    /** Presses Tab until this element has the focus. */
    const tabTo = async (locator: Locator) => {
      for (let step = 0; step < 60; step++) {
        await page.keyboard.press("Tab");
        const found = await locator.evaluateAll((elements) =>
          elements.some((element) => element.matches(":focus")),
        );
        if (found) return;
      }
      throw new Error(`${locator} is not reached by Tab`);
    };
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowRight");
    await answered(page, "200 forwarded");
    await tabTo(page.locator(".code .cm-content"));
    await page.keyboard.press("ControlOrMeta+End");
    await page.keyboard.type("# seen");
    await tabTo(page.getByLabel("Path", { exact: true }));
    await page.keyboard.type("typed");
    await tabTo(page.getByRole("button", { name: "Save this request" }));
    await page.keyboard.press("Enter");
    await page.locator(".saved").getByText("8 of 8 as expected").waitFor();
    await close();
  });

  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [360, 1400]) {
      test(`axe finds nothing, ${colorScheme}, ${width} px wide`, async () => {
        const { page, close } = await openPlayground({ colorScheme, viewport: { width, height: 900 } });
        await answered(page, "200 forwarded");
        await page.locator(".saved").getByText("7 of 7 as expected").waitFor();
        const scrollWidth = "document.documentElement.scrollWidth";
        expect(await page.evaluate(scrollWidth)).toBe(width);
        // A refusal has the longest words: the details of its response code.
        await page.getByRole("radio", { name: "Paste one" }).check();
        await page.getByLabel("The token; it stays in this page").fill("no-token");
        await answered(page, "401 Jwt is not in the form");
        expect(await page.evaluate(scrollWidth)).toBe(width);
        expect(await axeViolations(page)).toEqual([]);
        await close();
      });
    }
  }
});
