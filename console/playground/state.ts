/** The state of the playground. All of a link's content is here. */
import { computed, effect, signal } from "@preact/signals";
import type { Finding } from "../../tools/check/findings.ts";
import type { Diagnostic, Position } from "../../tools/diagnostics.ts";
import { readable } from "../../tools/host/bytes.ts";
import type { TestFile } from "../../tools/testing/schema.ts";
import { exported } from "../engine/assets.ts";
import { comparer, engine, type JobOptions, Stopped, Superseded } from "../engine/client.ts";
import type { Compared } from "../engine/compare.ts";
import type { Explained, Issuer, Ran } from "../engine/evaluate.ts";
import type { PageKeys } from "../engine/keys.ts";
import type { TextFile } from "../engine/suite.ts";
import { isLink } from "../links/link.ts";
import { view } from "../shell/view.ts";
import type { Content } from "./content.ts";
import {
  type Draft,
  EMPTY_DRAFT,
  FormError,
  settingFrom,
  settingOf,
  timeOf,
  type Written,
  write,
} from "./draft.ts";
import { EXAMPLES } from "./examples.ts";
import { followDisk } from "./served.ts";

export const files = signal<readonly TextFile[]>([]);
/** The name of the file in the editor. */
export const activeName = signal("");
export const draft = signal<Draft>(EMPTY_DRAFT);
/** Key sets that policies fetch, by the URI that they name. */
export const documents = signal<Readonly<Record<string, string>>>({});
/** The policies to compare with. */
export const baseline = signal<readonly TextFile[] | undefined>(undefined);

/** Private keys. They live as long as the page. */
export const keys = signal<PageKeys>({});
/** The place in the policies that is highlighted. */
export const lit = signal<Position | undefined>(undefined);

export const explained = signal<Explained | undefined>(undefined);
/** The reason if there is no answer. */
export const formProblem = signal<string | undefined>(undefined);
export const ran = signal<Ran | undefined>(undefined);
export const ranBaseline = signal<Ran | undefined>(undefined);
/** What the changes since the baseline open and close, or why that is not known; undefined while it is not known. */
export const compared = signal<Compared | string | undefined>(undefined);
export const findings = signal<readonly Finding[]>([]);
export const diagnostics = signal<readonly Diagnostic[]>([]);
/** The number of the last answer, and the milliseconds from the change to the answer. */
export const latency = signal<{ number: number; milliseconds: number } | undefined>(undefined);
/** The issuers of the policies that compiled last. */
export const issuers = signal<readonly Issuer[]>([]);

export const policies = computed(() => files.value.filter(({ name }) => !isTestFile(name)));
/** The test file with the saved requests. */
export const tests = computed(() => files.value.find(({ name }) => isTestFile(name)));
export const active = computed(() => files.value.find(({ name }) => name === activeName.value));

/** Whether the name is that of a test file, which holds saved requests. */
export function isTestFile(name: string): boolean {
  return /\.test\.ya?ml$/.test(name);
}

/** Replaces all files. */
export function load({ files: loaded, draft: request, documents: known = {} }: Content): void {
  files.value = loaded;
  activeName.value = loaded[0]?.name ?? "";
  baseline.value = undefined;
  documents.value = known;
  lit.value = undefined;
  // Links of older pages have no setting.
  draft.value = request ? { ...EMPTY_DRAFT, ...request } : draftFor(loaded);
}

/** A request with a token of the first issuer. */
function draftFor(loaded: readonly TextFile[]): Draft {
  const texts = loaded.filter(({ name }) => !isTestFile(name)).map(({ text }) => text);
  const issuer = /issuer:\s*["']?([^\s"',}]+)/.exec(texts.join("\n"))?.[1];
  if (issuer === undefined) return EMPTY_DRAFT;
  return { ...EMPTY_DRAFT, token: "made", made: { ...EMPTY_DRAFT.made, issuer } };
}

/**
 * Shows the playground with these files.
 *
 * @param content policies, and a `*.test.yaml` with the saved requests
 */
export function openInPlayground(content: Content): void {
  load(content);
  view.value = "playground";
}

/** Changes the text of a file. */
export function edit(name: string, text: string): void {
  files.value = files.value.map((file) => (file.name === name ? { name, text } : file));
}

/** Adds a file, or replaces the one of that name. */
export function put(file: TextFile): void {
  const others = files.value.some(({ name }) => name === file.name);
  files.value = others
    ? files.value.map((one) => (one.name === file.name ? file : one))
    : [...files.value, file];
}

/** Removes a file from the page. */
export function remove(name: string): void {
  files.value = files.value.filter((file) => file.name !== name);
  if (activeName.value === name) activeName.value = files.value[0]?.name ?? "";
}

/** Renames a file. */
export function rename(name: string, newName: string): void {
  files.value = files.value.map((file) => (file.name === name ? { ...file, name: newName } : file));
  if (activeName.value === name) activeName.value = newName;
}

/** Shows a place in the editor. */
export function lightUp(at: Position): void {
  if (files.value.some(({ name }) => name === at.file)) activeName.value = at.file;
  lit.value = { ...at };
}

/** The page's state for a link. */
export function currentContent(): Content {
  return { files: files.value, draft: draft.value, documents: documents.value };
}

/** Evaluates the page's content again after a change. */
export function startEvaluation(): void {
  const [first] = EXAMPLES;
  if (exported?.policies !== undefined) openInPlayground(exported.policies);
  else if (files.value.length === 0 && first) load(first);
  let isFirst = true;
  followDisk((changed) => {
    // An opened link keeps its files and its request.
    if (isFirst && !isLink(location.hash)) openInPlayground({ files: changed });
    else for (const file of changed) put(file);
    isFirst = false;
  });
  effect(() => {
    const [current, request, known] = [policies.value, draft.value, documents.value];
    void explainDraft(current, request, known);
  });
  effect(() => {
    const current = policies.value;
    void review(current);
  });
  effect(() => {
    const [current, saved] = [policies.value, tests.value];
    void run(current, saved, ran, "run");
  });
  effect(() => {
    const [other, saved] = [baseline.value, tests.value];
    if (other === undefined) ranBaseline.value = undefined;
    else void run(other, saved, ranBaseline, "run baseline");
  });
  const setting = computed(() => draft.value.setting);
  effect(() => {
    const [before, now, where] = [baseline.value, policies.value, setting.value];
    if (before === undefined) compared.value = undefined;
    else void compareWith(before, now, where);
  });
}

/** How often versions were compared. Only the last comparison is shown. */
let comparisons = 0;

async function compareWith(
  before: readonly TextFile[],
  now: readonly TextFile[],
  setting: Draft["setting"],
): Promise<void> {
  const turn = ++comparisons;
  compared.value = undefined;
  try {
    if (comparisons === 1) void comparer.start();
    const input = { before, now, setting: settingOf(setting) };
    const found = await comparer.call("compare", input, { purpose: "compare" });
    if (turn === comparisons) compared.value = found;
  } catch (error) {
    if (error instanceof Superseded || turn !== comparisons) return;
    compared.value = error instanceof Error ? error.message : String(error);
  }
}

/** How often the draft was explained. Only the answer to the last one is shown. */
let asked = 0;

async function explainDraft(
  current: readonly TextFile[],
  request: Draft,
  known: Readonly<Record<string, string>>,
): Promise<void> {
  const begun = performance.now();
  const turn = ++asked;
  if (current.length === 0) {
    explained.value = undefined;
    formProblem.value = "There are no policies: open a file or an example.";
    return;
  }
  await attempt(async () => {
    const { written, found } = await ask(current, request, known, { purpose: "explain", priority: -1 });
    if (turn !== asked) return;
    formProblem.value = undefined;
    explained.value = found;
    if (latency.value === undefined) performance.mark("jwtgate-ready");
    latency.value = { number: turn, milliseconds: performance.now() - begun };
    const isNew = JSON.stringify(found.issuers) !== JSON.stringify(issuers.peek());
    if (found.issuers === undefined || !isNew) return;
    issuers.value = found.issuers;
    // The issuers decide whether the page's key is trusted.
    if (JSON.stringify(write(request, namesOf(found.issuers))) !== JSON.stringify(written))
      await explainDraft(current, request, known);
  });
}

/** Explains a request. @throws {FormError} @throws as {@link engine}; the promise is rejected */
async function ask(
  current: readonly TextFile[],
  request: Draft,
  known: Readonly<Record<string, string>>,
  options: JobOptions,
): Promise<{ written: Written; found: Explained }> {
  const written = write(request, namesOf(issuers.peek()));
  const { setting, at, tokens } = written;
  const file = {
    ...setting,
    keys: { ...written.keys, ...(request.token === "pasted" && documentsAsKeys(known)) },
    tokens,
    tests: [{ name: "request", request: written.request, expect: {}, ...(at !== undefined && { at }) }],
  };
  const input = { policies: current, file, keys: keys.peek(), now: Date.now() };
  const found = await engine.call("explain", input, options);
  keepKeys(found.keys);
  return { written, found };
}

function namesOf(found: readonly Issuer[]): string[] {
  return found.flatMap(({ issuer }) => issuer ?? []);
}

/**
 * Adds the request of the form and its answer to the test file. The page may show an answer to an older form or file, so
 * the request is evaluated again.
 *
 * @throws {Error} with a message for people, if the request cannot be added; the promise is rejected
 */
export async function save(): Promise<void> {
  const [current, request, file] = [policies.value, draft.value, tests.value];
  const { found } = await ask(current, request, documents.value, {});
  const outcome = found.evaluated?.explanation.outcome;
  if (outcome === undefined) throw new Error("the request has no answer yet: see why under Answer");
  const content = file && (await contentOf(current, file));
  const names = { key: freshName("page", content?.keys), token: freshName("token", content?.tokens) };
  const written = write(request, namesOf(issuers.value), names);
  if (file && content && !fits(written, content))
    throw new Error(
      `${file.name} has tests of another listener, workload or time: close it, and save this request again`,
    );
  const { method = "GET", path = "/" } = written.request;
  const { answer } = outcome;
  const at =
    written.at === undefined || written.at === (content && timeOf(content)) ? {} : { at: written.at };
  const test = {
    name: `${(content?.tests?.length ?? 0) + 1}. ${method} ${path}: ${answer?.status ?? 200}`,
    request: written.request,
    ...at,
    expect: answer
      ? { status: answer.status, ...(answer.body !== "" && { body: readable(answer.body) }) }
      : 200,
  };
  const { keys, tokens, setting } = written;
  const saved = file ?? { name: testNameFor(current[0]?.name ?? "policy.yaml"), text: "" };
  const text = await engine.call("save", {
    ...{ tests: saved, policies: current.map(({ name }) => name), setting, keys, tokens, test },
  });
  put({ name: saved.name, text });
}

/** The content of a test file. @throws {Error} if it has errors; the promise is rejected */
async function contentOf(current: readonly TextFile[], file: TextFile): Promise<TestFile> {
  const input = { policies: current, tests: file, keys: keys.peek(), now: Date.now() };
  const { content, keys: added } = await engine.call("run", input);
  keepKeys(added);
  if (content === undefined) throw new Error(`${file.name} has errors: correct them, and save again`);
  return content;
}

/** Whether the request in the test file has the settings of the form. */
function fits({ setting, at }: Written, file: TestFile): boolean {
  const isSame = JSON.stringify(setting) === JSON.stringify(settingOf(settingFrom(file)));
  return isSame && (at !== undefined || timeOf(file) === undefined);
}

/** The name, with a number if the name is taken. */
function freshName(base: string, taken: object | undefined): string {
  let name = base;
  for (let next = 2; taken !== undefined && Object.hasOwn(taken, name); next++) name = `${base}-${next}`;
  return name;
}

function testNameFor(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1).replace(/(\.ya?ml)?$/, ".test.yaml");
}

function documentsAsKeys(known: Readonly<Record<string, string>>) {
  const served = Object.entries(known).filter(([uri]) => issuers.peek().some(({ keysAt }) => keysAt === uri));
  return Object.fromEntries(
    served.map(([jwksUri, jwks], index) => [`served-${index + 1}`, { jwksUri, jwks }]),
  );
}

async function review(current: readonly TextFile[]): Promise<void> {
  await attempt(async () => {
    const found = await engine.call("check", { policies: current }, { purpose: "check" });
    findings.value = found.findings;
    diagnostics.value = found.diagnostics;
  });
}

async function run(
  current: readonly TextFile[],
  saved: TextFile | undefined,
  into: typeof ran,
  purpose: string,
): Promise<void> {
  if (saved === undefined) {
    into.value = undefined;
    return;
  }
  await attempt(async () => {
    const input = { policies: current, tests: saved, keys: keys.peek(), now: Date.now() };
    const found = await engine.call("run", input, { purpose, priority: 1 });
    keepKeys(found.keys);
    into.value = found;
  });
}

function keepKeys(added: PageKeys): void {
  if (Object.keys(added).length > 0) keys.value = { ...keys.peek(), ...added };
}

/** Runs something, and shows the message of an error that is meant for people. */
async function attempt(what: () => Promise<void>): Promise<void> {
  try {
    await what();
  } catch (error) {
    if (error instanceof Superseded) return;
    if (error instanceof FormError || error instanceof Stopped) formProblem.value = error.message;
    else if (error instanceof Error) formProblem.value = `the engine failed: ${error.message}`;
    else throw error;
  }
}
