/**
 * `npm run bench:console`: how long the console's page takes, in Chromium, compared with a page and a worker that do nothing. The
 * times of both are taken in turn, so a busy machine slows both down; the limits hold on a quiet one.
 */
import { Command } from "commander";
import type { Browser, Page } from "playwright-core";
import { openBrowser, openPage, serveConsole } from "../tests/support/browser.ts";
import { tenThousandRules } from "../tests/support/many-rules.ts";
import { estimate } from "./statistics.ts";

/** Milliseconds that a step may take on a quiet machine. */
const LIMITS = {
  "first paint": 1000,
  "first decision": 2000,
  "a decision after a key": 50,
  "a key in 10,000 rules": 100,
} as const;

type Step = keyof typeof LIMITS;
/** Milliseconds of a step in the console, and of its counterpart that does nothing. */
type Times = Record<Step, { console: number[]; nothing: number[] }>;

const EMPTY_PAGE = "data:text/html,<!doctype html><title>nothing</title><p>nothing<textarea></textarea>";
const KEYS = 15;

/** Measures from each key to the change of the answer on the page. */
const WATCH = `{
  globalThis.latencies = [];
  let begun = 0;
  addEventListener("keydown", () => { begun = performance.now(); }, true);
  new MutationObserver(() => latencies.push(performance.now() - begun))
    .observe(document.querySelector(".answer"), { attributeFilter: ["data-number"] });
}`;

/** Types 20 characters, each in its own frame. Returns how long each took, in milliseconds. */
const TYPE = `(async () => {
  const times = [];
  for (let i = 0; i < 20; i++) {
    const begun = performance.now();
    document.execCommand("insertText", false, "#");
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    times.push(performance.now() - begun);
  }
  return times;
})()`;

/** Sends messages to a worker that sends them back. Returns how long each took, in milliseconds. */
const ECHO = `(async () => {
  const source = URL.createObjectURL(new Blob(["onmessage = ({ data }) => postMessage(data)"]));
  const worker = new Worker(source);
  const times = [];
  for (let i = 0; i < ${KEYS}; i++) {
    const begun = performance.now();
    await new Promise((resolve) => { worker.onmessage = resolve; worker.postMessage(i); });
    times.push(performance.now() - begun);
  }
  worker.terminate();
  return times;
})()`;

const { rounds } = new Command("npm run bench:console --")
  .description("measure how long the console takes to paint, to decide and to edit")
  .option("--rounds <number>", "how often each page is opened", Number, 5)
  .parse()
  .opts<{ rounds: number }>();

const times = Object.fromEntries(
  Object.keys(LIMITS).map((step) => [step, { console: [], nothing: [] }]),
) as unknown as Times;
const [browser, site] = await Promise.all([openBrowser(), serveConsole()]);
try {
  for (let round = 0; round < rounds; round++) {
    await measureNothing(browser);
    await measureConsole(browser, site.url);
  }
} finally {
  await browser.close();
  await site.close();
}

console.log("| step | console, ms | nothing, ms | limit, ms |\n|---|--:|--:|--:|");
for (const [step, limit] of Object.entries(LIMITS)) {
  const { console: ours, nothing } = times[step as Step];
  const cells = [ours, nothing].map((samples) => {
    const { median, low, high } = estimate(samples);
    return `${median.toFixed(1)} [${low.toFixed(1)}, ${high.toFixed(1)}]`;
  });
  console.log(`| ${[step, ...cells, limit].join(" | ")} |`);
}

async function measureConsole(chromium: Browser, url: string): Promise<void> {
  const { page, close } = await openPage(chromium, url);
  const add = (step: Step, ...samples: number[]) => times[step].console.push(...samples);
  await page.getByRole("tab", { name: "Playground" }).click();
  await page.locator(".saved").getByText("7 of 7 as expected").waitFor();
  add("first paint", await startOf(page, "first-contentful-paint"));
  add("first decision", await startOf(page, "jwtgate-ready"));

  await page.getByLabel("Path", { exact: true }).focus();
  await page.evaluate(WATCH);
  for (let key = 0; key < KEYS; key++) {
    const number = await page.locator(".answer").getAttribute("data-number");
    await page.keyboard.type("a");
    await page.locator(`.answer:not([data-number="${number}"])`).waitFor();
  }
  add("a decision after a key", ...((await page.evaluate("latencies")) as number[]));

  const buffer = Buffer.from(tenThousandRules());
  await page
    .getByLabel("Files to open")
    .setInputFiles({ name: "many.yaml", mimeType: "application/yaml", buffer });
  await page.locator(".steps .at", { hasText: "many.yaml" }).first().waitFor();
  await page.locator(".code .cm-content").click();
  await page.keyboard.press("ControlOrMeta+Home");
  add("a key in 10,000 rules", ...((await page.evaluate(TYPE)) as number[]));
  await close();
}

async function measureNothing(chromium: Browser): Promise<void> {
  const { page, close } = await openPage(chromium, EMPTY_PAGE);
  const add = (step: Step, ...samples: number[]) => times[step].nothing.push(...samples);
  await page.waitForFunction("performance.getEntriesByName('first-contentful-paint').length > 0");
  const paint = await startOf(page, "first-contentful-paint");
  const [first = 0, ...echoes] = (await page.evaluate(ECHO)) as number[];
  add("first paint", paint);
  add("first decision", paint + first);
  add("a decision after a key", ...echoes);
  await page.locator("textarea").focus();
  add("a key in 10,000 rules", ...((await page.evaluate(TYPE)) as number[]));
  await close();
}

/** Milliseconds from the navigation to an event of the page's own. */
async function startOf(page: Page, name: string): Promise<number> {
  return (await page.evaluate(`performance.getEntriesByName('${name}')[0].startTime`)) as number;
}
