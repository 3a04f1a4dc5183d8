/** Links: the state goes round, secrets stay here unless chosen, and links that cannot be read are refused with a reason. */
import type { Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { readLink, writeLink } from "../../console/links/link.ts";
import { EMPTY_DRAFT } from "../../console/playground/draft.ts";
import { openPage } from "../support/browser.ts";
import { useConsole } from "../support/use-console.ts";

describe("a state", () => {
  const SECRETS = [
    '{"kty":"RSA","n":"AAAA","e":"AQAB","d":"PRIVATE-0123456789abcdef","p":"PRIVATE-0123456789abcdefg"}',
    "jwk: {kty: oct, k: PRIVATE-0123456789abcdef}",
    'jwks: "{\\"keys\\":[{\\"kty\\":\\"oct\\",\\"k\\":\\"PRIVATE-0123456789abcdef\\"}]}"',
    "-----BEGIN PRIVATE KEY-----\nPRIVATE-0123456789abcdef\n-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\nPRIVATE-not-closed",
    "token: eyJhbGciOiJub25lIn0.PRIVATE.PRIVATE",
  ];

  test("goes round as it is, if secrets are chosen", async () => {
    const content = { files: SECRETS.map((text, index) => ({ name: `${index}.yaml`, text })) };
    const { fragment, leftOut } = await writeLink(content, true);
    expect(leftOut).toEqual([]);
    expect(await readLink(fragment)).toEqual(content);
  });

  test("goes without private keys and tokens", async () => {
    for (const text of SECRETS) {
      const { fragment, leftOut } = await writeLink({ files: [{ name: "a.yaml", text }] }, false);
      expect(leftOut.length, text).toBe(1);
      expect(JSON.stringify(await readLink(fragment)), text).not.toContain("PRIVATE-");
      expect(JSON.stringify(await readLink(fragment)), text).not.toContain(".PRIVATE");
    }
  });

  test("keeps public keys and ordinary text", async () => {
    const text =
      'jwks: \'{"keys":[{"kty":"RSA","kid":"long-enough-to-be-a-secret","n":"vPFGhUqrZa-ukxqLyfx","e":"AQAB"}]}\'\nname: a';
    const { fragment, leftOut } = await writeLink({ files: [{ name: "a.yaml", text }] }, false);
    expect(leftOut).toEqual([]);
    expect((await readLink(fragment)).files[0]?.text).toBe(text);
  });

  test("is refused with a reason, if it is damaged or of another version", async () => {
    const { fragment } = await writeLink({ files: [{ name: "a.yaml", text: "kind: A" }] }, false);
    await expect(readLink(fragment.slice(0, -3))).rejects.toThrow("damaged");
    await expect(readLink("#section")).rejects.toThrow("damaged");
    await expect(readLink(fragment.replace("#1.", "#2."))).rejects.toThrow("version 2");
    const bomb = await writeLink({ files: [{ name: "a.yaml", text: "a".repeat(9_000_000) }] }, true);
    await expect(readLink(bomb.fragment)).rejects.toThrow("more than a state has");
    for (const wrong of [[], { files: [{}] }, { files: [], draft: {} }, { files: "a" }]) {
      const { fragment: other } = await writeLink(wrong as never, true);
      await expect(readLink(other)).rejects.toThrow("no state");
    }
  });
});

describe("in a browser", () => {
  const used = useConsole();

  const verdict = (page: Page, text: string) => page.locator(".verdict").filter({ hasText: text }).waitFor();

  test("a link opens the same state, without a pasted token", async () => {
    const { page, requests, messages, close } = await openPage(used.browser, used.site.url);
    await page.getByRole("tab", { name: "Playground" }).click();
    await page.getByLabel("Path", { exact: true }).fill("/from-a-link");
    await page.getByRole("radio", { name: "Paste one" }).check();
    await page.getByLabel("The token; it stays in this page").fill("not.a-secret.really");
    await verdict(page, "401");
    await page.getByRole("button", { name: "Make a link" }).click();
    await page.getByText("Left out: 1 token.").waitFor();
    const short = await page.getByLabel(/^The link/).inputValue();
    await page.getByRole("button", { name: "Put them in" }).click();
    await page.getByText("This link contains private keys or tokens").waitFor();
    const whole = await page.getByLabel(/^The link/).inputValue();
    await close();
    for (const [link, token] of [
      [short, "left-out"],
      [whole, "not.a-secret.really"],
    ] as const) {
      const other = await openPage(used.browser, link);
      expect(await other.page.getByLabel("Path", { exact: true }).inputValue()).toBe("/from-a-link");
      expect(await other.page.getByLabel("The token; it stays in this page").inputValue()).toBe(token);
      await verdict(other.page, "401");
      expect(other.messages).toEqual([]);
      await other.close();
    }
    expect(requests.filter((url) => !/^(data:|blob:)/.test(url) && !url.startsWith(used.site.url))).toEqual(
      [],
    );
    expect(messages).toEqual([]);
  });

  test("a link of a page that knew no listener, workload and time is read", async () => {
    const { setting: _, ...draft } = { ...EMPTY_DRAFT, path: "/of-an-older-page" };
    const files = [{ name: "a.yaml", text: "" }];
    const { fragment } = await writeLink({ files, draft }, false);
    const { page, messages, close } = await openPage(used.browser, `${used.site.url}${fragment}`);
    await page.getByText("Listener, workload, time", { exact: true }).click();
    expect(await page.getByLabel("Path", { exact: true }).inputValue()).toBe("/of-an-older-page");
    expect(await page.getByLabel("Path normalisation").inputValue()).toBe("BASE");
    expect(messages).toEqual([]);
    await close();
  });

  test("a link has the wizard's answers, without a private key, and shows what was shown", async () => {
    const { page, messages, close } = await openPage(used.browser, used.site.url);
    await page.getByRole("textbox", { name: "Issuer" }).fill("https://linked.example.com");
    await page.getByLabel("Requests that need a token").selectOption("matched");
    await page.getByLabel("Paths, such as /public/*").fill("/linked/*");
    await page.getByText("Advanced", { exact: true }).click();
    await page.getByRole("button", { name: "Add a location" }).click();
    await page.getByLabel("Kind of location 1").selectOption("cookie");
    await page.getByLabel("Name of location 1").fill("session");
    await page.getByLabel("Keys", { exact: true }).selectOption("pasted");
    const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    await page
      .getByLabel("Key set, public key or certificate")
      .fill(
        `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"${secret}"}`,
      );
    await page.locator(".results[aria-busy=false] .proofs").waitFor();
    const resources = (page: Page) => page.locator(".results pre").first().textContent();
    const shown = await resources(page);
    await page.getByRole("button", { name: "Make a link" }).click();
    await page.getByText("Left out: 1 private member of a key.").waitFor();
    const link = await page.getByLabel(/^The link/).inputValue();
    expect(JSON.stringify(await readLink(new URL(link).hash))).not.toContain(secret);
    const other = await openPage(used.browser, link);
    await other.page.locator(".results[aria-busy=false] .proofs").waitFor();
    await other.page.locator(".results pre", { hasText: "linked.example.com" }).first().waitFor();
    expect(await resources(other.page)).toBe(shown);
    await other.close();
    expect(messages).toEqual([]);
    await close();
  });

  test("a link is copied, or selected if the browser refuses", async () => {
    const { page, messages, close } = await openPage(used.browser, used.site.url, {
      permissions: ["clipboard-read", "clipboard-write"],
    });
    await page.getByRole("tab", { name: "Playground" }).click();
    await page.getByRole("button", { name: "Make a link" }).click();
    const link = page.getByLabel(/^The link/);
    const copy = page.locator(".share").getByRole("button", { name: "Copy" });
    await copy.click();
    await page.getByText("Copied.", { exact: true }).waitFor();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe(await link.inputValue());
    // As in pages that are loaded by plain HTTP from another machine.
    await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })");
    await copy.click();
    await page.getByText("The browser refused. The text is selected").waitFor();
    expect(await page.evaluate("getSelection().toString()")).toBe(await link.inputValue());
    expect(messages).toEqual([]);
    await close();
  });

  test("the page reports why it cannot read a link, and works", async () => {
    const { page, messages, close } = await openPage(used.browser, `${used.site.url}#7.abc`);
    await page.getByRole("alert").filter({ hasText: "version 7" }).waitFor();
    await page.getByRole("tab", { name: "Playground" }).click();
    await verdict(page, "200");
    expect(messages).toEqual([]);
    await close();
  });
});
