/** Reads the wizard's form: its faults, or the policies. */
import { review } from "../../tools/check/review.ts";
import { compile, type SourceFile } from "../../tools/compile.ts";
import { oneLine } from "../../tools/diagnostics.ts";
import type { Modules } from "../../tools/explain/gate.ts";
import type { Address } from "../../tools/render/bootstrap.ts";
import { shellWord } from "../../tools/shell.ts";
import { envoy } from "../../tools/targets/envoy.ts";
import { NotRendered, type Target } from "../../tools/targets/target.ts";
import { wasmplugin } from "../../tools/targets/wasmplugin.ts";
import { InvalidValue, parseImage, parseListenAddress, parseUpstream } from "../../tools/values.ts";
import { curlLine } from "../../tools/wizard/curl.ts";
import { type Faults, type Form, type ReadForm, readForm } from "../../tools/wizard/form.ts";
import type { TrialKey } from "../../tools/wizard/keys.ts";
import { type Answers, renderResources } from "../../tools/wizard/resources.ts";
import { renderRequests, renderTests, VALID_TOKEN } from "../../tools/wizard/tests.ts";
import { type Ran, runAll, type Saved } from "./evaluate.ts";
import type { PageKeys } from "./keys.ts";

/** The wizard's form: the policies, and where they run. */
export interface Questions extends Form {
  mode: "gateway" | "sidecar";
  /** The address of the module's image, for the WasmPlugin. */
  image: string;
  /** Envoy's listener: `IP:PORT`. */
  listen: string;
  /** `HOST:PORT` or a URL. */
  upstream: string;
}

/** A document, or why there is none. */
export type Output = { text: string } | { fault: string };

/** The documents that the wizard writes. */
export interface Made {
  policy: SourceFile;
  tests: SourceFile;
  /** The four requests, a test file. */
  requests: SourceFile;
  /** The findings of `jwtgate check`. */
  findings: { code: string; severity: string; message: string; line: number }[];
  /** Absent if the image is wrong. */
  wasmplugin?: Output;
  /** Absent if an address is wrong. */
  envoy?: Output;
  /** The module's answers to the four requests. */
  ran: Ran;
  /** The one of them that has a valid token. */
  valid?: Saved;
  /** The four requests as curl lines; absent if the address to listen at is wrong. */
  curl?: string;
}

/** The result of a form. Its faults are those of `Form`, and those of `image`, `listen` and `upstream`. */
export interface WizardResult extends Omit<ReadForm, "answers"> {
  /** Absent if a fault is one of the policies. */
  made?: Made;
}

export interface WizardInput {
  form: Questions;
  trialKey: TrialKey | undefined;
  keys: PageKeys;
  /** Milliseconds since 1970. */
  now: number;
}

/** Reads the form, writes every document of the page, and runs the four requests in the module. */
export async function runWizard(
  { form, trialKey, keys, now }: WizardInput,
  modules: Modules,
): Promise<WizardResult> {
  const { answers, notes, faults: ofPolicies } = readForm(form, trialKey?.jwks);
  const { image, listen, upstream, faults: ofPlaces } = readPlaces(form);
  const rest = { notes, faults: { ...ofPolicies, ...ofPlaces } };
  if (answers === undefined) return rest;
  const name = `${answers.name}.yaml`;
  const policy = { name, text: renderResources(answers) };
  const workload = workloadOf(answers);
  const { diagnostics, findings } = review([policy], workload);
  const error = diagnostics.find(({ severity }) => severity === "error");
  if (error !== undefined) return { ...rest, faults: { ...rest.faults, policy: oneLine(error.message) } };
  const privateKey = form.keys === "trial" ? trialKey?.privateKey : undefined;
  const requests = { name: "requests.test.yaml", text: renderRequests(answers, name, privateKey) };
  const ran = await runAll([policy], requests, keys, modules, now);
  const valid = ran.cases.find(({ result }) => result.name === VALID_TOKEN);
  const { mode } = form;
  return {
    ...rest,
    made: {
      policy,
      ran,
      ...(valid && { valid }),
      tests: { name: `${answers.name}.test.yaml`, text: renderTests(answers, name) },
      requests,
      findings: findings.map(({ code, severity, message, line }) => ({ code, severity, message, line })),
      ...(image && { wasmplugin: output(wasmplugin, policy, workload, { image, mode }) }),
      ...(listen && upstream && { envoy: output(envoy, policy, workload, { listen, upstream, mode }) }),
      ...(listen && { curl: curlLines(ran, listen, privateKey ? undefined : form.issuer.trim()) }),
    },
  };
}

/** Reads where the policies run. A value that cannot be read is a fault. */
function readPlaces(form: Questions) {
  const faults: Faults = {};
  const read = <T>(field: "image" | "listen" | "upstream", parse: (text: string) => T): T | undefined => {
    try {
      return parse(form[field].trim());
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      faults[field] = error.message;
      return undefined;
    }
  };
  return {
    image: read("image", parseImage),
    listen: read("listen", parseListenAddress),
    upstream: read("upstream", parseUpstream),
    faults,
  };
}

/** A signed token, in its three parts. */
const SIGNED = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * One line for each request, with tokens as variables of the shell.
 *
 * @param issuer if the page does not have its keys: the user adds tokens to the lines. Absent: the policies trust the
 *   page's own key
 */
function curlLines({ cases, tokens }: Ran, { host, port }: Address, issuer?: string): string {
  // A listener on all addresses of the machine is reached at the loopback address.
  const reached = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const origin = `http://${reached.includes(":") ? `[${reached}]` : reached}:${port}`;
  const variables = Object.entries(tokens).map(
    ([name, token]) => [`${name.toUpperCase()}_TOKEN`, token] as const,
  );
  const sets = variables.map(([name, token]) => {
    const isMissing = issuer !== undefined && SIGNED.test(token);
    const article = name === "VALID_TOKEN" ? "a" : "an expired";
    return `${name}=${shellWord(isMissing ? `${article} token of ${issuer}` : token)}`;
  });
  const lines = cases.flatMap(({ result, evaluated }) =>
    evaluated ? [`# ${result.name}`, curlLine(evaluated.request, origin, new Map(variables))] : [],
  );
  const heading = issuer === undefined ? [] : ["# This page has no key of your issuer: put its tokens in."];
  return `${[...heading, ...sets, ...lines].join("\n")}\n`;
}

/** Reviews the policies in the way of `jwtgate new`. */
function workloadOf({ labels, gateway, namespace }: Answers) {
  const isNamed = labels !== undefined || gateway !== undefined;
  return { labels, gateway, namespace: namespace ?? (isNamed ? "default" : undefined) };
}

/** What `jwtgate compile` writes for a target. */
function output(
  target: Target,
  policy: SourceFile,
  workload: ReturnType<typeof workloadOf>,
  options: object,
): Output {
  try {
    const wrong = target.check?.(options);
    if (wrong !== undefined) return { fault: wrong };
    const { workloads, diagnostics } = compile([policy], { ...workload, target });
    const error = diagnostics.find(({ severity }) => severity === "error");
    if (error !== undefined) return { fault: oneLine(error.message) };
    return { text: target.render(workloads, options, FILES).text };
  } catch (error) {
    if (error instanceof NotRendered) return { fault: error.message };
    throw error;
  }
}

/** The paths on the machine where Envoy runs: those of Linux, and the module next to the bootstrap. */
const MODULE = "jwtgate.wasm";
const FILES = {
  module: MODULE,
  exists: (path: string) => path === MODULE || path === "/etc/ssl/certs/ca-certificates.crt",
  resolve: (path: string) => path,
};
