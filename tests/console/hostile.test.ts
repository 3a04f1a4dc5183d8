/**
 * Text that an attacker may paste, in a real browser: it stays text, its evaluation ends soon, and the page
 * keeps working.
 */
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { openPage } from "../support/browser.ts";
import { useConsole } from "../support/use-console.ts";

const used = useConsole();

/** Longer than anything takes that does not hang, in milliseconds. The page gives a job up after 20 s. */
const SOON = 15_000;

/** Opens the console; the page must not have printed, asked or run anything of what was pasted when it is closed. */
async function openHostile(tab: "Wizard" | "Playground") {
  const { page, messages, requests, close } = await openPage(used.browser, used.site.url);
  await page.locator(".proofs li").first().waitFor();
  await page.getByRole("tab", { name: tab }).click();
  if (tab === "Playground") await page.locator(".verdict").waitFor();
  const before = requests.length;
  const end = async () => {
    expect(await page.title()).toBe("jwtgate console");
    // The editor adds empty images next to the characters that it draws.
    expect(await page.locator("img:not(.cm-widgetBuffer), iframe, object, embed, base").count()).toBe(0);
    expect(await page.getByText("The engine was started again").count()).toBe(0);
    expect(requests.slice(before).filter((url) => !url.startsWith("data:") && !COMPARER.test(url))).toEqual(
      [],
    );
    expect(messages).toEqual([]);
    await close();
  };
  return { page, end };
}

/** What the page loads with the first comparison. */
const COMPARER = /\/(comparer\.js|jwtgate(\.trace)?\.wasm)$/;

/** Replaces the text of a new file in the editor. */
async function paste(page: Page, text: string): Promise<void> {
  await page.getByRole("button", { name: "New file" }).click();
  await page.locator(".code .cm-content").click();
  await page.keyboard.insertText(text);
}

/** The page still answers: another path is in its answer. */
async function stillAnswers(page: Page): Promise<void> {
  const number = await page.locator(".answer").getAttribute("data-number");
  await page.getByLabel("Examples", { exact: true }).selectOption("skip a path");
  await page.getByLabel("Path", { exact: true }).fill("/productpage");
  await page.locator(`.answer:not([data-number="${number}"]) .verdict`).waitFor({ timeout: SOON });
}

/** Markup, ends of scripts and comments, marks that turn the direction of text, control characters, half a character. */
const MARKUP = `"><script>document.title='owned'</script><img src=x onerror="document.title='owned'"><!--`;
const DIRECTIONS = "\u202eevil\u2066\u200f\u061c\u2069";
const CONTROLS = "a\u0000b\u0007c\u001b[31md\u007fe\u0085f\u2028g\ufefeh";

const HOSTILE = `${MARKUP}${DIRECTIONS}${CONTROLS}`;

/** A part of a token. */
const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

const POLICY = (name: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${JSON.stringify(name)}}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: [/admin]}}]}]
`;

describe("in the playground", () => {
  test("markup, control characters and marks of direction in every field stay text", async () => {
    const text = HOSTILE;
    const { page, end } = await openHostile("Playground");
    await paste(page, POLICY(text));
    await page.getByRole("button", { name: "Rename", exact: true }).click();
    await page.getByLabel(/^New name of/).fill(`${text}.yaml`);
    await page.keyboard.press("Enter");
    const summaries = page.locator("#panel-playground summary");
    for (const summary of await summaries.all()) await summary.click();
    const inputs = page.locator("#panel-playground .trial :is(input:not([type]), textarea:not([readonly]))");
    for (const input of await inputs.all()) if (await input.isVisible()) await input.fill(text);
    await page.getByLabel("Claims, as JSON").fill(JSON.stringify({ [text]: text, sub: text }));
    await page.getByRole("radio", { name: "Paste one" }).check();
    await page
      .getByLabel("The token; it stays in this page")
      .fill(`${encoded({ alg: text, kid: text })}.${encoded({ [text]: text, exp: 1e308 })}.${text}`);
    await page.getByRole("button", { name: "Make a link" }).click();
    await page.getByLabel(/^The link/).waitFor();
    await page.getByRole("button", { name: "Compare from here" }).click();
    await stillAnswers(page);
    await end();
  });

  const deep = 20_000;
  const YAML: Readonly<Record<string, string>> = {
    "lists in lists": "[".repeat(deep),
    "closed lists in lists": `${"[".repeat(deep)}${"]".repeat(deep)}`,
    "maps in maps": "{a: ".repeat(deep),
    "blocks in blocks": Array.from({ length: 700 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n"),
    dashes: "- ".repeat(deep),
    "references that multiply": Array.from(
      { length: 60 },
      (_, at) => `a${at + 1}: &a${at + 1} [*a${at}, *a${at}]`,
    ).join("\n"),
    documents: "---\n".repeat(deep),
    "a long line": "a".repeat(2_000_000),
    quotes: "'\"".repeat(deep),
    "marks that turn the direction": `# ${DIRECTIONS}`,
  };

  test("YAML that is deep, long or multiplies is answered soon", async () => {
    const { page, end } = await openHostile("Playground");
    await page.getByRole("button", { name: "New file" }).click();
    for (const [name, text] of Object.entries(YAML)) {
      const number = await page.locator(".answer").getAttribute("data-number");
      await page.locator(".code .cm-content").click();
      await page.keyboard.press("ControlOrMeta+A");
      await page.keyboard.insertText(text);
      const answer = page.locator(`.answer:not([data-number="${number}"])`);
      await answer.waitFor({ timeout: SOON });
      // Comments and empty documents are right; all else is an error.
      expect(await answer.textContent(), name).toMatch(/No answer, because of an error|200 forwarded/);
    }
    expect(await page.locator(".code .cm-specialChar").count()).toBeGreaterThan(2);
    await stillAnswers(page);
    await end();
  });

  const TOKENS: Readonly<Record<string, string>> = {
    "a megabyte": "e".repeat(1_000_000),
    dots: ".".repeat(200_000),
    "a deep payload": `e30.${Buffer.from(`{"a":${"[".repeat(100_000)}`).toString("base64url")}.x`,
    "many claims": `e30.${encoded(Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`c${at}`, at])))}.x`,
  };

  test("a token that is large or deep is refused soon", async () => {
    const { page, end } = await openHostile("Playground");
    await page.getByRole("radio", { name: "Paste one" }).check();
    for (const [name, token] of Object.entries(TOKENS)) {
      const number = await page.locator(".answer").getAttribute("data-number");
      await page.getByLabel("The token; it stays in this page").fill(token);
      const answer = page.locator(`.answer:not([data-number="${number}"])`);
      await answer.waitFor({ timeout: SOON });
      expect(await answer.locator(".verdict").textContent(), name).toMatch(/^4/);
      const details = page.locator("details", { hasText: "What the token says" });
      if ((await details.getAttribute("open")) === null) await details.locator("summary").click();
    }
    await stillAnswers(page);
    await end();
  });
});

describe("in the wizard", () => {
  test.each([
    ["markup, control characters and marks of direction", HOSTILE],
    ["a long text", "x".repeat(100_000)],
    ["ten thousand words", Array.from({ length: 10_000 }, (_, at) => `/p${at}`).join(" ")],
  ])("%s in every field end soon and stay text", async (_, text) => {
    const { page, end } = await openHostile("Wizard");
    await page.getByText("Advanced", { exact: true }).click();
    await page.getByRole("button", { name: "Add a location" }).click();
    await page.getByLabel("Requests that need a token").selectOption("matched");
    await page.getByLabel("For", { exact: true }).selectOption("labels");
    const fields = page.locator("#panel-wizard :is(input:not([type]), textarea)");
    for (const field of await fields.all()) {
      const before = await field.inputValue();
      await field.fill(text);
      await page.locator(".results[aria-busy=false]").waitFor({ timeout: SOON });
      expect(await page.locator(".results > .bad").count()).toBe(0);
      await field.fill(before);
    }
    await page.getByLabel("Keys", { exact: true }).selectOption("pasted");
    await page.getByLabel("Key set, public key or certificate").fill(text);
    await page.locator("[data-fault=pasted]").waitFor({ timeout: SOON });
    await end();
  });
});
