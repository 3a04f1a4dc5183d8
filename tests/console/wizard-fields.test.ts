/** Every question of the wizard in a real browser: what its answer makes, and the message about a wrong one. */
import { createPublicKey } from "node:crypto";
import type { Locator, Page } from "playwright-core";
import { describe, expect, test } from "vitest";
import { axeViolations } from "../support/axe.ts";
import { openPage } from "../support/browser.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { TestKey } from "../support/tokens.ts";
import { useConsole } from "../support/use-console.ts";

const used = useConsole();

/** Opens the wizard; the page must not have printed anything when it is closed. */
async function openWizard(options: Parameters<typeof openPage>[2] = {}) {
  const opened = await openPage(used.browser, used.site.url, options);
  const close = async () => {
    expect(opened.messages).toEqual([]);
    await opened.close();
  };
  await opened.page.locator(".proofs li").first().waitFor();
  return { ...opened, close };
}

const keysOf = (page: Page) => page.getByLabel("Keys", { exact: true });
const pastedOf = (page: Page) => page.getByLabel("Key set, public key or certificate");

/** The resources, as soon as they are those of the form. */
async function resourcesOf(page: Page): Promise<string> {
  await page.locator(".results[aria-busy=false] .proofs").waitFor();
  return (await page.locator(".document pre").first().textContent()) ?? "";
}

/** The text of a document of the result. */
async function documentOf(page: Page, title: string): Promise<string> {
  await page.locator(".results[aria-busy=false] .proofs").waitFor();
  const found = page.locator(".document").filter({ has: page.getByText(title, { exact: true }) });
  return (await found.locator("pre").textContent()) ?? "";
}

async function expectProofs(page: Page, ...statuses: string[]): Promise<void> {
  const answers = await page.locator(".proofs b").allTextContents();
  expect(answers.map((answer) => answer.slice(0, 3))).toEqual(statuses);
  expect(await page.locator(".proofs .bad").count()).toBe(0);
}

describe("keys", () => {
  test("are pasted as a key set, a JWK, PEM or a certificate, without what is private", async () => {
    const { page, close } = await openWizard();
    await keysOf(page).selectOption("pasted");
    const rsa = TestKey.generate("RS256", "rsa");
    const { certificate, key } = new CertificateAuthority().issue({ dns: ["idp.example.com"] });
    const pem = createPublicKey(key).export({ type: "spki", format: "pem" }).toString();
    const { x = "" } = createPublicKey(key).export({ format: "jwk" });
    for (const [text, expected] of [
      [rsa.jwks, rsa.jwk["n"] ?? ""],
      [JSON.stringify(rsa.jwk), rsa.jwk["n"] ?? ""],
      [pem, x],
      [certificate, x],
      [JSON.stringify({ kty: "EC", crv: "P-256", ...createPublicKey(key).export({ format: "jwk" }) }), x],
    ] as const) {
      await pastedOf(page).fill(text);
      const resources = await resourcesOf(page);
      expect(resources).toContain(expected);
      await expectProofs(page, "403", "200", "401", "401");
    }
    const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0";
    await pastedOf(page).fill(
      JSON.stringify({ ...createPublicKey(key).export({ format: "jwk" }), d: secret }),
    );
    expect(await resourcesOf(page)).not.toContain(secret);
    await close();
  });

  test("are at a URL, or found by the issuer, and the tokens are the page's own", async () => {
    const { page, requests, close } = await openWizard();
    const before = requests.length;
    await keysOf(page).selectOption("uri");
    await page.getByLabel("URL of the key set").fill("https://idp.example.com/keys.json");
    expect(await resourcesOf(page)).toContain('jwksUri: "https://idp.example.com/keys.json"');
    await expectProofs(page, "403", "200", "401", "401");
    expect(await documentOf(page, "curl lines")).toContain(
      "VALID_TOKEN='a token of https://idp.example.com'",
    );
    await keysOf(page).selectOption("discovery");
    await page.getByLabel("URL of the key set").waitFor({ state: "detached" });
    expect(await resourcesOf(page)).not.toMatch(/jwks/);
    await expectProofs(page, "403", "200", "401", "401");
    // The page sends no request for keys.
    expect(requests.slice(before)).toEqual([]);
    await close();
  });
});

describe("advanced answers", () => {
  test("become fields of the resources", async () => {
    const { page, close } = await openWizard();
    await page.getByLabel("Audiences (empty: any)").fill("shop, mobile");
    await page.getByText("Advanced", { exact: true }).click();
    for (const [index, [kind, name]] of [
      ["header", "x-token"],
      ["parameter", "access"],
      ["cookie", "session"],
    ].entries()) {
      await page.getByRole("button", { name: "Add a location" }).click();
      await page.getByLabel(`Kind of location ${index + 1}`).selectOption(kind ?? "");
      await page.getByLabel(`Name of location ${index + 1}`).fill(name ?? "");
    }
    await page.getByLabel("Prefix of location 1").fill("Token");
    await page.getByLabel("Pass the token to the service").check();
    await page.getByLabel("Header that gets the payload").fill("x-payload");
    await page.getByLabel("Claims to headers: HEADER=CLAIM, one per line").fill("x-user=sub\nx-mail=email");
    await page.getByLabel("Scopes that the token must have").fill("read");
    await page.getByLabel("Claims that the token must have: NAME=VALUE, one per line").fill("role=admin");
    const resources = await resourcesOf(page);
    for (const line of [
      "audiences: [shop, mobile]",
      '- name: x-token\n      prefix: "Token "',
      "fromParams: [access]",
      "fromCookies: [session]",
      "forwardOriginalToken: true",
      "outputPayloadToHeader: x-payload",
      "- header: x-user\n      claim: sub",
      "- header: x-mail\n      claim: email",
      "request.auth.claims[scope]",
      "request.auth.claims[role]",
    ])
      expect(resources).toContain(line);
    await expectProofs(page, "403", "200", "401", "401");
    await page.getByRole("button", { name: "Remove location 3" }).click();
    await page.getByLabel("Name of location 3").waitFor({ state: "detached" });
    expect(await resourcesOf(page)).not.toContain("fromCookies");
    await close();
  });

  test("name who connects: clients, or other proxies", async () => {
    const { page, close } = await openWizard();
    expect(await documentOf(page, "WasmPlugin")).toContain("mode: CLIENT");
    expect(await documentOf(page, "Envoy bootstrap")).toContain("use_remote_address: true");
    await page.getByLabel("The proxy is").first().selectOption("sidecar");
    expect(await documentOf(page, "WasmPlugin")).toContain("mode: SERVER");
    expect(await documentOf(page, "Envoy bootstrap")).not.toContain("use_remote_address: true");
    await close();
  });
});

describe("a wrong answer", () => {
  /** A field by its label, what is wrong in it, and the message: by the name of the fault. */
  type Wrong = [fault: string, label: string, answer: string, message: string | RegExp];

  /** Types into a field or chooses of it. */
  async function fill(field: Locator, value: string): Promise<void> {
    if ((await field.evaluate((node) => node.nodeName)) === "SELECT") await field.selectOption(value);
    else await field.fill(value);
  }

  const OF_POLICIES: Wrong[] = [
    ["issuer", "Issuer", "", "Write what the claim iss has"],
    ["pasted", "Key set, public key or certificate", "-----BEGIN PUBLIC KEY-----", /./],
    ["pasted", "Key set, public key or certificate", "", "Paste a key set (JWKS)"],
    ["locations.0", "Name of location 1", "", "Write its name."],
    ["locations.0", "Name of location 1", "two words", /./],
    ["claims", "Claims that the token must have: NAME=VALUE, one per line", "admin", "Write NAME=VALUE"],
    ["payloadHeader", "Header that gets the payload", "two words", /./],
    ["claimHeaders", "Claims to headers: HEADER=CLAIM, one per line", "x-user", "Write HEADER=CLAIM"],
    ["paths", "Paths, such as /public/*", "public", "begins with / or *"],
    ["match", "Paths, such as /public/*", "", "Name a path, a host or a method."],
    ["name", "Name", "Two Words", "lower-case letters"],
    ["namespace", "Namespace (empty: that of kubectl)", "UPPER", "lower-case letters"],
    ["labels", "Labels, such as app=shop", "shop", "NAME=VALUE"],
    ["jwksUri", "URL of the key set", "ftp://idp.example.com/keys", "http"],
    ["gateway", "Gateway", "A gateway", "lower-case letters"],
    ["keys", "Keys", "discovery", "Only an issuer that is an https:// URL has a discovery document."],
  ];

  test("is marked at its field, and led to", async () => {
    const { page, close } = await openWizard();
    const fieldOf = (label: string) => page.getByLabel("Wizard").getByLabel(label, { exact: true });
    await page.getByText("Advanced", { exact: true }).click();
    await page.getByRole("button", { name: "Add a location" }).click();
    for (const [label, value] of [
      ["Keys", "pasted"],
      ["Key set, public key or certificate", TestKey.generate("ES256", "k").jwks],
      ["Name of location 1", "x-token"],
      ["Requests that need a token", "matched"],
      ["Paths, such as /public/*", "/orders/*"],
      ["For", "labels"],
      ["Labels, such as app=shop", "app=shop"],
    ] as const)
      await fill(fieldOf(label), value);
    await resourcesOf(page);
    for (const [fault, label, answer, message] of OF_POLICIES) {
      // Fields that hide other questions are last.
      if (fault === "jwksUri") await fill(fieldOf("Keys"), "uri");
      if (fault === "gateway") await fill(fieldOf("For"), "gateway");
      if (fault === "keys") await fill(fieldOf("Issuer"), "me");
      const field = fieldOf(label);
      const before = fault === "gateway" ? "public" : fault === "jwksUri" ? "https://a.example/k" : undefined;
      const right = before ?? (await field.inputValue());
      await fill(field, answer);
      const said = page.locator(`[data-fault="${fault}"]`).filter({ hasText: message });
      await said.waitFor();
      if (fault !== "match") {
        expect(await field.getAttribute("aria-invalid"), fault).toBe("true");
        expect(await field.getAttribute("aria-describedby"), fault).toBe(await said.getAttribute("id"));
      }
      // From the result, which is far away in a narrow window, a click leads to the field.
      expect(await page.locator(".proofs").count(), fault).toBe(0);
      const text = (await said.textContent()) ?? "";
      await page.locator(".results li", { hasText: text }).getByRole("button").click();
      expect(await field.evaluate((node) => node.matches(":focus")), fault).toBe(true);
      await fill(field, right);
      await resourcesOf(page);
    }
    await close();
  });

  test("of where it runs leaves the resources, and takes its own documents", async () => {
    const { page, close } = await openWizard();
    for (const [fault, label, answer, title] of [
      ["image", "Image of the WasmPlugin", "oci://", "WasmPlugin"],
      ["listen", "Envoy listens at", "localhost:80", "Envoy bootstrap"],
      ["upstream", "The service is at", "nowhere", "Envoy bootstrap"],
    ] as const) {
      const field = page.getByLabel(label);
      const right = await field.inputValue();
      await field.fill(answer);
      const said = page.locator(`[data-fault="${fault}"]`);
      await said.waitFor();
      expect(await field.getAttribute("aria-describedby")).toBe(await said.getAttribute("id"));
      expect(await resourcesOf(page)).toContain("RequestAuthentication");
      const document = page.locator(".document summary").getByText(title, { exact: true });
      await document.waitFor({ state: "detached" });
      await field.fill(right);
      await document.waitFor();
    }
    await close();
  });

  test("shows an answer that was hidden, and leads into it", async () => {
    const { page, close } = await openWizard();
    await page.getByText("Advanced", { exact: true }).click();
    const header = page.getByLabel("Header that gets the payload");
    await header.fill("two words");
    await page.locator("[data-fault=payloadHeader]").waitFor();
    await page.getByText("Advanced", { exact: true }).click();
    expect(await header.isVisible()).toBe(false);
    await page.locator(".results").getByRole("button", { name: "Header that gets the payload" }).click();
    expect(await header.evaluate((node) => node.matches(":focus"))).toBe(true);
    await close();
  });
});

describe("the result", () => {
  test("is copied document by document, or selected if the browser refuses", async () => {
    const { page, close } = await openWizard({ permissions: ["clipboard-read", "clipboard-write"] });
    const documents = page.locator(".document");
    const count = await documents.count();
    expect(count).toBe(6);
    for (let index = 0; index < count; index++) {
      const one = documents.nth(index);
      if (!(await one.locator("pre").isVisible())) await one.locator("summary").click();
      await one.getByRole("button", { name: "Copy" }).click();
      await one.getByText("Copied.").waitFor();
      expect(await page.evaluate("navigator.clipboard.readText()")).toBe(
        await one.locator("pre").textContent(),
      );
    }
    await page.evaluate("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))");
    await documents.first().getByRole("button", { name: "Copy" }).click();
    await documents.first().getByText("The browser refused. The text is selected").waitFor();
    expect(await page.evaluate("getSelection().toString()")).toBe(
      (await documents.first().locator("pre").textContent())?.trimEnd(),
    );
    await close();
  });

  test("opens in the playground, with the tests as saved requests", async () => {
    const { page, close } = await openWizard();
    await page.getByLabel("Requests that need a token").selectOption("matched");
    await page.getByLabel("Paths, such as /public/*").fill("/orders/*");
    await resourcesOf(page);
    await page.getByRole("button", { name: "Open in the playground" }).click();
    await page.getByRole("button", { name: "jwt.yaml", exact: true }).waitFor();
    await page
      .locator(".saved")
      .getByText(/^(\d+) of \1 as expected$/)
      .waitFor();
    await page.locator(".verdict").filter({ hasText: "200 forwarded" }).waitFor();
    await close();
  });

  test("is marked as old while a newer form is checked", async () => {
    const { page, messages, close } = await openPage(used.browser);
    // The page's own worker, with a pause before each answer.
    await page.route("**/worker.js", async (route) => {
      const response = await route.fetch();
      const pause =
        "{ const post = postMessage; postMessage = (message) => setTimeout(() => post(message), 400); }";
      await route.fulfill({ response, body: `${pause}\n${await response.text()}` });
    });
    await page.goto(used.site.url);
    const results = page.getByRole("region", { name: "Result", exact: true });
    await results.locator(".proofs").waitFor();
    expect(await results.getAttribute("aria-busy")).toBe("false");
    await page.getByLabel("Issuer").first().fill("https://new.example.com");
    await results.getByText("Checking …").waitFor();
    expect(await results.getAttribute("aria-busy")).toBe("true");
    expect(await results.locator("pre").first().textContent()).not.toContain("new.example.com");
    await results.locator("pre", { hasText: "new.example.com" }).first().waitFor();
    expect(await results.getAttribute("aria-busy")).toBe("false");
    expect(messages).toEqual([]);
    await close();
  });
});

describe("accessibility", () => {
  test("the keyboard is enough, from the issuer to the download", async () => {
    const { page, close } = await openWizard();
    /** Presses Tab until this element has the focus. */
    const tabTo = async (locator: Locator) => {
      for (let step = 0; step < 80; step++) {
        await page.keyboard.press("Tab");
        const found = await locator.evaluateAll((elements) =>
          elements.some((element) => element.matches(":focus")),
        );
        if (found) return;
      }
      throw new Error(`${locator} is not reached by Tab`);
    };
    const wizard = page.getByLabel("Wizard");
    await tabTo(wizard.getByLabel("Issuer"));
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.type("https://typed.example.com");
    await tabTo(wizard.getByLabel("Keys", { exact: true }));
    await page.keyboard.type("at a URL");
    await tabTo(wizard.getByLabel("URL of the key set"));
    await page.keyboard.press("End");
    await page.keyboard.type("typed.example.com/keys");
    await tabTo(wizard.locator("summary", { hasText: "Advanced" }));
    await page.keyboard.press("Enter");
    await tabTo(wizard.getByRole("button", { name: "Add a location" }));
    await page.keyboard.press("Space");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.type("x-token");
    await tabTo(wizard.getByLabel("Pass the token to the service"));
    await page.keyboard.press("Space");
    await tabTo(wizard.getByLabel("Requests that need a token"));
    await page.keyboard.press("ArrowDown");
    await tabTo(wizard.getByLabel("Paths, such as /public/*"));
    await page.keyboard.type("/typed/*");
    await tabTo(wizard.getByLabel("The proxy is"));
    await page.keyboard.press("ArrowDown");
    await resourcesOf(page);
    await tabTo(wizard.getByRole("button", { name: "Download jwt.yaml" }));
    const downloading = page.waitForEvent("download");
    await page.keyboard.press("Enter");
    expect((await downloading).suggestedFilename()).toBe("jwt.yaml");
    const resources = await resourcesOf(page);
    for (const part of [
      'issuer: "https://typed.example.com"',
      'jwksUri: "https://typed.example.com/keys"',
      "- name: x-token",
      "forwardOriginalToken: true",
      'paths: ["/typed/*"]',
    ])
      expect(resources).toContain(part);
    expect(await documentOf(page, "WasmPlugin")).toContain("mode: SERVER");
    await close();
  });

  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [360, 1400]) {
      test(`axe finds nothing, with all open and with faults, ${colorScheme}, ${width} px wide`, async () => {
        const { page, close } = await openWizard({ colorScheme, viewport: { width, height: 900 } });
        const scrollWidth = "document.documentElement.scrollWidth";
        for (const summary of await page.locator(".wizard summary").all()) {
          if ((await summary.textContent()) !== "Resources") await summary.click();
        }
        await page.getByRole("button", { name: "Add a location" }).click();
        await page.getByLabel("Name of location 1").fill("x-token");
        await page.getByLabel("Requests that need a token").selectOption("matched");
        await page.getByLabel("Paths, such as /public/*").fill("/orders/*");
        await resourcesOf(page);
        expect(await page.evaluate(scrollWidth)).toBe(width);
        expect(await axeViolations(page)).toEqual([]);
        await page.getByLabel("Name of location 1").fill("");
        await page.locator('[data-fault="locations.0"]').waitFor();
        expect(await page.evaluate(scrollWidth)).toBe(width);
        expect(await axeViolations(page)).toEqual([]);
        await close();
      });
    }
  }
});
