/** The wizard's form, read: what is wrong with it, and what comes of it. */
import { review } from "../../tools/check/review.ts";
import { compile, type SourceFile } from "../../tools/compile.ts";
import { oneLine } from "../../tools/diagnostics.ts";
import type { Modules } from "../../tools/explain/gate.ts";
import { shellWord } from "../../tools/shell.ts";
import { envoy } from "../../tools/targets/envoy.ts";
import { NotRendered, type Target } from "../../tools/targets/target.ts";
import { wasmplugin } from "../../tools/targets/wasmplugin.ts";
import { InvalidValue, parseImage, parseListenAddress, parseUpstream } from "../../tools/values.ts";
import { curlLine } from "../../tools/wizard/curl.ts";
import { type Form, type ReadForm, readForm } from "../../tools/wizard/form.ts";
import type { TrialKey } from "../../tools/wizard/keys.ts";
import { type Answers, renderResources } from "../../tools/wizard/resources.ts";
import { renderRequests, renderTests } from "../../tools/wizard/tests.ts";
import { type Ran, runAll } from "./evaluate.ts";
import type { PageKeys } from "./keys.ts";

/** A place where the policies run, as the page asks for it. */
export interface Places {
  /** Of the WasmPlugin: where the module's image is. */
  image: string;
  mode: "gateway" | "sidecar";
  /** Of Envoy: `IP:PORT`. */
  listen: string;
  /** `HOST:PORT` or a URL. */
  upstream: string;
}

/** A document, or why there is none. */
export type Output = { text: string } | { fault: string };

/** What the answers make. */
export interface Made {
  policy: SourceFile;
  tests: SourceFile;
  /** The four requests, a test file. */
  requests: SourceFile;
  /** What `jwtgate check` says. */
  findings: { code: string; severity: string; message: string; line: number }[];
  wasmplugin: Output;
  envoy: Output;
  /** What the module answered to the four requests. */
  ran: Ran;
  /** The four requests as curl lines. */
  curl: string;
}

/** What came of a form. */
export interface WizardResult extends Omit<ReadForm, "answers"> {
  /** Absent if there is a fault. */
  made?: Made;
}

export interface WizardInput {
  form: Form;
  trialKey: TrialKey | undefined;
  places: Places;
  keys: PageKeys;
  /** Milliseconds since 1970. */
  now: number;
}

/** Reads the form, writes everything that the page shows, and asks the module. */
export async function runWizard(
  { form, trialKey, places, keys, now }: WizardInput,
  modules: Modules,
): Promise<WizardResult> {
  const { answers, ...rest } = readForm(form, trialKey?.jwks);
  if (answers === undefined) return rest;
  const name = `${answers.name}.yaml`;
  const policy = { name, text: renderResources(answers) };
  const workload = workloadOf(answers);
  const { diagnostics, findings } = review([policy], workload);
  const error = diagnostics.find(({ severity }) => severity === "error");
  if (error !== undefined) return { ...rest, faults: { policy: oneLine(error.message) } };
  const privateKey = form.keys === "trial" ? trialKey?.privateKey : undefined;
  const requests = { name: "requests.test.yaml", text: renderRequests(answers, name, privateKey) };
  const ran = await runAll([policy], requests, keys, modules, now);
  return {
    ...rest,
    made: {
      policy,
      ran,
      curl: curlLines(ran, places.listen.trim()),
      tests: { name: `${answers.name}.test.yaml`, text: renderTests(answers, name) },
      requests,
      findings: findings.map(({ code, severity, message, line }) => ({ code, severity, message, line })),
      wasmplugin: output(wasmplugin, policy, workload, () => ({
        image: parseImage(places.image.trim()),
        mode: places.mode,
      })),
      envoy: output(envoy, policy, workload, () => ({
        listen: parseListenAddress(places.listen.trim()),
        upstream: parseUpstream(places.upstream.trim()),
      })),
    },
  };
}

/** One line for each request, with tokens as variables of the shell. */
function curlLines({ cases, tokens }: Ran, listen: string): string {
  const variables = Object.entries(tokens).map(
    ([name, token]) => [`${name.toUpperCase()}_TOKEN`, token] as const,
  );
  const sets = variables.map(([name, token]) => `${name}=${shellWord(token)}`);
  const lines = cases.flatMap(({ result, evaluated }) =>
    evaluated
      ? [`# ${result.name}`, curlLine(evaluated.request, `http://${listen}`, new Map(variables))]
      : [],
  );
  return `${[...sets, ...lines].join("\n")}\n`;
}

/** As `jwtgate new` reviews what it writes. */
function workloadOf({ labels, gateway, namespace }: Answers) {
  const isNamed = labels !== undefined || gateway !== undefined;
  return { labels, gateway, namespace: namespace ?? (isNamed ? "default" : undefined) };
}

/** What `jwtgate compile` writes for a target. @param read reads the options. @throws {InvalidValue} */
function output(
  target: Target,
  policy: SourceFile,
  workload: ReturnType<typeof workloadOf>,
  read: () => object,
): Output {
  try {
    const options = read();
    const wrong = target.check?.(options);
    if (wrong !== undefined) return { fault: wrong };
    const { workloads, diagnostics } = compile([policy], { ...workload, target });
    const error = diagnostics.find(({ severity }) => severity === "error");
    if (error !== undefined) return { fault: oneLine(error.message) };
    return { text: target.render(workloads, options, FILES).text };
  } catch (error) {
    if (error instanceof InvalidValue || error instanceof NotRendered) return { fault: error.message };
    throw error;
  }
}

/** Files of the machine where Envoy runs: those of a Linux system, and the module beside the bootstrap. */
const MODULE = "jwtgate.wasm";
const FILES = {
  module: MODULE,
  exists: (path: string) => path === MODULE || path === "/etc/ssl/certs/ca-certificates.crt",
  resolve: (path: string) => path,
};
