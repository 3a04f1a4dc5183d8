/**
 * `jwtgate new`: writes a gateway's RequestAuthentication and AuthorizationPolicy with their tests, from questions or
 * flags.
 */
import { rmSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { Command, Option } from "commander";
import { formatFinding } from "../check/format.ts";
import { review } from "../check/review.ts";
import { oneLine, printable } from "../diagnostics.ts";
import { NoKey, readKeys } from "../jwks/convert.ts";
import { shellWord } from "../shell.ts";
import { collect, parseLabels } from "../values.ts";
import {
  faultOf,
  faultOfIssuer,
  faultOfIssuerName,
  faultOfLocation,
  faultOfMatch,
  faultOfName,
  faultOfText,
  isDiscoverable,
  parseClaim,
  parseClaimHeader,
  parseHeader,
  parseMethod,
  parsePath,
} from "../wizard/checks.ts";
import { keySetOf } from "../wizard/keys.ts";
import {
  type Answers,
  type ClaimValue,
  type Issuer,
  renderResources,
  type Scope,
  type TokenLocation,
} from "../wizard/resources.ts";
import { renderTests } from "../wizard/tests.ts";
import { readBytes } from "./input.ts";
import { EXIT, outputFileOption, print, report, UserError, writeUserFile } from "./output.ts";
import { Interrupted, Questions } from "./questions.ts";
import { styleFor } from "./style.ts";

interface Options {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  gateway?: string;
  issuer?: IssuerFlags[];
  scope?: string[];
  claim?: ClaimValue[];
  outputFile?: string;
  tests?: string | boolean;
  force?: boolean;
  forward?: boolean;
  payloadHeader?: string;
  claimHeader?: { header: string; claim: string }[];
  authIf?: boolean;
  bypassIf?: boolean;
  path?: string[];
  host?: string[];
  method?: string[];
}

/** The flags of one issuer. */
interface IssuerFlags {
  issuer?: string;
  audiences?: string[];
  jwks?: string;
  jwksUri?: string;
  locations?: TokenLocation[];
}

const EXAMPLES = `
Examples:
  By questions, on a terminal:
    $ jwtgate new -o gateway.yaml
  A token on every path except two, keys from the issuer's URL:
    $ jwtgate new --issuer https://idp.example.com --jwks-uri https://idp.example.com/jwks.json \\
        --bypass-if --path /healthz --path '/public/*' -o gateway.yaml
    $ jwtgate compile -f gateway.yaml
  Staff and partners, each with their own keys, and only with the scope orders:
    $ jwtgate new --issuer https://staff.example.com --audience shop --issuer https://partners.example.com \\
        --audience partner-shop --jwks-uri https://partners.example.com/keys --scope orders -o orders.yaml
  A token in a cookie for changes of one host; its subject goes to the service in a header:
    $ jwtgate jwk --generate ES256 --private key.pem > jwks.json
    $ jwtgate new --issuer https://idp.example.com --jwks jwks.json --from-cookie session \\
        --claim-header x-user=sub --auth-if --host shop.example.com --method POST --method PUT --method DELETE

With -o FILE, tests of the policy are written next to it. No file is replaced without --force. The policies that it
prints have been compiled. Exit code: 0, or 1 if the answers are not a valid policy, or 2 if the command line is
wrong.`;

export function newCommand(): Command {
  // In the order of the command line, which commander does not keep across options.
  const issuers: IssuerFlags[] = [{}];
  const ofIssuer =
    (set: (issuer: IssuerFlags, text: string, all: IssuerFlags[]) => void) => (text: string) => {
      set(issuers.at(-1) as IssuerFlags, text, issuers);
      return issuers;
    };
  return new Command("new")
    .description(
      "write a RequestAuthentication, an AuthorizationPolicy and their tests, by questions or by flags",
    )
    .optionsGroup("Who issues tokens (flags after an --issuer, up to the next, are about that issuer):")
    .option("--issuer <issuer>", "the token's iss; may be repeated", ofIssuer(startIssuer))
    .option(
      "--audience <audience>",
      "an aud that it may have; may be repeated",
      ofIssuer((issuer, text) => {
        issuer.audiences = collect(text, issuer.audiences);
      }),
    )
    .option(
      "--jwks <file>",
      "the issuer's keys: a key set, PEM or certificate, or - for standard input",
      ofIssuer((issuer, text) => {
        issuer.jwks = text;
      }),
    )
    .option(
      "--jwks-uri <url>",
      "where the keys are fetched from (default: discovered from the issuer)",
      ofIssuer((issuer, text) => {
        issuer.jwksUri = text;
      }),
    )
    .optionsGroup("Where its token is (default: Authorization: Bearer):")
    .option(
      "--from-header <name[:prefix]>",
      "a header, as 'x-auth:Token '; may be repeated",
      ofIssuer((issuer, text) => {
        issuer.locations = [...(issuer.locations ?? []), parseHeader(text)];
      }),
    )
    .option("--from-param <name>", "a query parameter; may be repeated", ofIssuer(addPlace("parameter")))
    .option("--from-cookie <name>", "a cookie; may be repeated", ofIssuer(addPlace("cookie")))
    .optionsGroup("Required claims:")
    .option("--scope <scope>", "a scope that the token must have; if repeated, all of them", collect)
    .option(
      "--claim <name=value>",
      "a claim and its value, or a pattern (x*, *x); of the values of one claim, one is enough; '[a][b]=x' for x inside of objects",
      each(parseClaim),
    )
    .optionsGroup("What the service receives:")
    .option("--forward", "the token itself")
    .option("--payload-header <name>", "the payload, in this header")
    .option("--claim-header <header=claim>", "a claim, in a header; may be repeated", each(parseClaimHeader))
    .optionsGroup("Which requests need a token (default: all):")
    .option("--auth-if", "only those that match")
    .option("--bypass-if", "all except those that match")
    .option("--path <path>", "a path to match: /x, /x*, */x; may be repeated", each(parsePath))
    .option("--host <host>", "a host to match, with any port; may be repeated", collect)
    .option("--method <method>", "a method to match; may be repeated", each(parseMethod))
    .optionsGroup("The resources:")
    .option("--name <name>", "their name", "jwt-gateway")
    .option("--namespace <name>", "their namespace")
    .addOption(
      new Option("--labels <labels>", "labels of the workloads, as NAME=VALUE,…").argParser(parseLabels),
    )
    .option("--gateway <name>", "the Gateway (gateway.networking.k8s.io) that they are for")
    .addOption(outputFileOption())
    .option("--tests <file>", "the file of tests (default: NAME.test.yaml next to -o NAME.yaml)")
    .option("--no-tests", "write no tests")
    .option("--force", "replace existing files")
    .optionsGroup("Help:")
    .addHelpText("after", EXAMPLES)
    .action(async (options: Options, command: Command) => {
      checkUsage(options, issuers, command);
      const files = filesOf(options, command);
      const answers = needsQuestions(issuers) ? await ask(options, issuers) : answersOf(options, issuers);
      await write(answers, files, options.force ?? false);
    });
}

/** Begins a new issuer, or names the one that earlier flags began. */
function startIssuer(last: IssuerFlags, text: string, all: IssuerFlags[]): void {
  if (last.issuer === undefined) last.issuer = text;
  else all.push({ issuer: text });
}

function addPlace(kind: "parameter" | "cookie") {
  return (issuer: IssuerFlags, name: string) => {
    issuer.locations = [...(issuer.locations ?? []), { kind, name }];
  };
}

/** An option that may be repeated. */
function each<T>(parse: (text: string) => T) {
  return (text: string, previous: T[] = []): T[] => [...previous, parse(text)];
}

function checkUsage(options: Options, issuers: IssuerFlags[], command: Command): void {
  const wrong = (message: string): never => command.error(`error: ${message}`);
  const { labels, gateway, authIf, bypassIf, path, host, method } = options;
  if (issuers.some(({ jwks, jwksUri }) => jwks !== undefined && jwksUri !== undefined))
    wrong("--jwks has the keys already: leave --jwks-uri out");
  if (labels !== undefined && gateway !== undefined) wrong("--labels or --gateway: a policy has one target");
  if (authIf && bypassIf) wrong("--auth-if and --bypass-if exclude each other");
  const matches = (path ?? host ?? method) !== undefined;
  if (matches && !authIf && !bypassIf) {
    wrong("--path, --host and --method need --auth-if or --bypass-if");
  }
  if ((authIf || bypassIf) && !matches) wrong("name what to match: --path, --host or --method");
  const [fault] = [options.name, options.namespace].flatMap((name) => faultOfName(name ?? "x") ?? []);
  if (fault !== undefined) wrong(`--name and --namespace: ${fault}`);
  if (needsQuestions(issuers) && !(process.stdin.isTTY && process.stderr.isTTY)) {
    wrong("--issuer is required, because this is not a terminal");
  }
}

/** Whether a user must be asked, because there is nothing to write without an issuer. */
function needsQuestions([first]: IssuerFlags[]): boolean {
  return first?.issuer === undefined;
}

function answersOf(options: Options, issuers: IssuerFlags[]): Answers {
  const { name, namespace, labels, gateway, payloadHeader, authIf, bypassIf } = options;
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(labels !== undefined && { labels }),
    ...(gateway !== undefined && { gateway }),
    issuers: issuers.map(issuerOf),
    scopes: options.scope ?? [],
    claims: options.claim ?? [],
    forward: options.forward ?? false,
    ...(payloadHeader !== undefined && { payloadHeader }),
    claimHeaders: options.claimHeader ?? [],
    scope: authIf ? "matched" : bypassIf ? "unmatched" : "all",
    match: { paths: options.path ?? [], hosts: options.host ?? [], methods: options.method ?? [] },
  };
}

function issuerOf({ issuer = "", audiences = [], jwks, jwksUri, locations = [] }: IssuerFlags): Issuer {
  const keys = {
    ...(jwks !== undefined && { jwks: readJwks(jwks) }),
    ...(jwksUri !== undefined && { jwksUri }),
  };
  return { issuer, audiences, keys, locations };
}

/** The keys as `jwtgate jwk` writes them, without private members. Prints what is wrong with them. */
function readJwks(file: string): string {
  const bytes = readBytes(file);
  try {
    const { jwks, problems } = keySetOf(readKeys(bytes).keys);
    report(problems.map(({ severity, message }) => ({ file, line: 0, column: 0, severity, message })));
    if (jwks === undefined) throw new UserError("");
    return jwks;
  } catch (error) {
    if (error instanceof NoKey) throw new UserError(`${file}: ${error.message}`);
    throw error;
  }
}

/** Asks for everything that flags have not set. */
async function ask(options: Options, issuers: IssuerFlags[]): Promise<Answers> {
  // Once: it reads files, and going back asks all questions again.
  const said = answersOf(options, issuers);
  const questions = await Questions.open(process.stderr);
  try {
    return await questions.run(() => askAll(questions, said, options, issuers[0] ?? {}));
  } catch (error) {
    if (error instanceof Interrupted) throw new UserError("", EXIT.interrupted);
    throw error;
  }
}

async function askAll(
  questions: Questions,
  said: Answers,
  options: Options,
  flags: IssuerFlags,
): Promise<Answers> {
  const issuers = [await askIssuer(questions, said.issuers[0], flags)];
  while (await yes(questions, "Does another issuer make tokens for it, too?"))
    issuers.push(await askIssuer(questions, undefined, {}));
  const scopes =
    options.scope ??
    (await questions.list("Scopes that the token must have, all of them (empty: none)", (given) =>
      faultOf({ scopes: given }),
    ));
  const claims = options.claim ?? (await askClaims(questions));
  const forward = options.forward ?? (await yes(questions, "Does the service get the token itself?"));
  const claimHeaders = options.claimHeader ?? (await askClaimHeaders(questions));
  const scope = said.scope === "all" ? await askScope(questions) : said.scope;
  const match = scope === "all" || said.scope !== "all" ? said.match : await askMatch(questions, scope);
  const name = await questions.ask("Name of the resources", options.name, faultOfName);
  const namespace =
    options.namespace ??
    (await questions.ask("Namespace (empty: that of kubectl)", "", (text) =>
      text === "" ? undefined : faultOfName(text),
    ));
  const { namespace: _namespace, ...rest } = said;
  return {
    ...rest,
    ...(namespace !== "" && { namespace }),
    ...{ issuers, forward, claimHeaders, scopes, claims, scope, match, name },
  };
}

async function askIssuer(
  questions: Questions,
  said: Issuer | undefined,
  flags: IssuerFlags,
): Promise<Issuer> {
  const issuer = await questions.ask("Issuer (the token's iss)", "", faultOfIssuerName);
  const keys = said && (flags.jwks ?? flags.jwksUri) ? said.keys : await askKeys(questions, issuer);
  const audiences =
    flags.audiences ??
    (await questions.list("Audiences that it may have (empty: any)", (given) =>
      faultOfIssuer({ audiences: given }),
    ));
  const locations = said && said.locations.length > 0 ? said.locations : await askLocations(questions);
  return { issuer, keys, audiences, locations };
}

async function askKeys(questions: Questions, issuer: string): Promise<Issuer["keys"]> {
  const how = await questions.choose("Where are its keys?", [
    ["uri", "at a URL (jwksUri)"],
    ["file", "in a file here: a key set, PEM or certificate"],
    ...(isDiscoverable(issuer)
      ? ([["discover", "at the URL in the issuer's discovery document"]] as const)
      : []),
  ]);
  if (how === "discover") return {};
  if (how === "file") {
    const file = await questions.ask("File", "", (text) => {
      if (text === "") return "Write the file's path.";
      try {
        readJwks(text);
        return undefined;
      } catch (error) {
        if (error instanceof UserError) return oneLine(error.message);
        throw error;
      }
    });
    return { jwks: readJwks(file) };
  }
  const jwksUri = await questions.ask("URL", "https://", (text) =>
    faultOfIssuer({ keys: { jwksUri: text } }),
  );
  return { jwksUri };
}

async function askLocations(questions: Questions): Promise<TokenLocation[]> {
  const kind = await questions.choose("Where is the token?", [
    ["default", "Authorization: Bearer TOKEN"],
    ["header", "another header"],
    ["parameter", "a query parameter"],
    ["cookie", "a cookie"],
  ]);
  if (kind === "default") return [];
  const name = await questions.ask("Its name", "", (text) => faultOfLocation({ kind, name: text }));
  if (kind !== "header") return [{ kind, name }];
  const prefix = await questions.ask("What is before the token, without the space (empty: nothing)", "");
  // A space separates them on the wire, and cannot be typed at the end of a line that is trimmed.
  return [{ kind, name, ...(prefix !== "" && { prefix: `${prefix} ` }) }];
}

/** Asks for one more until the answer is empty. */
async function askEach<T>(
  questions: Questions,
  question: string,
  parse: (text: string) => T,
  fault: (all: T[]) => string | undefined,
): Promise<T[]> {
  const found: T[] = [];
  for (;;) {
    const text = await questions.ask(`${question} (empty: no more)`, "", (answer) => {
      if (answer === "") return undefined;
      return faultOfText(parse, answer) ?? fault([...found, parse(answer)]);
    });
    if (text === "") return found;
    found.push(parse(text));
  }
}

function askClaims(questions: Questions): Promise<ClaimValue[]> {
  const question = "A claim that it must have, as NAME=VALUE";
  return askEach(questions, question, parseClaim, (claims) => faultOf({ claims }));
}

function askClaimHeaders(questions: Questions): Promise<Answers["claimHeaders"]> {
  const question = "A claim for the service, as HEADER=CLAIM";
  return askEach(questions, question, parseClaimHeader, (claimHeaders) => faultOf({ claimHeaders }));
}

function askScope(questions: Questions): Promise<Scope> {
  return questions.choose("Which requests need a token?", [
    ["all", "all"],
    ["matched", "only those that match the next answers"],
    ["unmatched", "all except those that match the next answers"],
  ]);
}

async function askMatch(questions: Questions, scope: Scope): Promise<Answers["match"]> {
  const paths = await questions.list("Paths, such as /healthz /public/* (empty: any)", (given) =>
    faultOfMatch(scope, { paths: given }),
  );
  const hosts = await questions.list("Hosts (empty: any)", (given) => faultOfMatch(scope, { hosts: given }));
  const methods = await questions.list("Methods (empty: any)", (given) =>
    given.length + paths.length + hosts.length > 0
      ? faultOfMatch(scope, { methods: given.map(parseMethod) })
      : "Name a method, or go back and name a path or a host.",
  );
  return { paths, hosts, methods: methods.map(parseMethod) };
}

async function yes(questions: Questions, question: string): Promise<boolean> {
  const answer = await questions.choose(question, [
    ["no", "no"],
    ["yes", "yes"],
  ]);
  return answer === "yes";
}

/** Where the result goes: to standard output without a file for the policy. */
interface Files {
  policy?: string;
  tests?: string;
}

function filesOf({ outputFile, tests }: Options, command: Command): Files {
  const wrong = (message: string): never => command.error(`error: ${message}`);
  if (outputFile === undefined || outputFile === "-") {
    if (typeof tests === "string") wrong("--tests needs -o FILE: the tests name the file of the policy");
    return {};
  }
  const name = typeof tests === "string" ? tests : testsBeside(outputFile);
  if (tests === false || name === undefined) return { policy: outputFile };
  if (dirname(resolve(name)) !== dirname(resolve(outputFile)))
    wrong("--tests: write the tests into the folder of the policy, so that both can be moved together");
  if (resolve(name) === resolve(outputFile))
    wrong("--tests names the file of the policy: write another name");
  return { policy: outputFile, tests: name };
}

/** A device or a pipe has no folder for tests. */
function testsBeside(policy: string): string | undefined {
  const there = statSync(policy, { throwIfNoEntry: false });
  if (there !== undefined && !there.isFile()) return undefined;
  return `${policy.replace(/\.(ya?ml|json)$/i, "")}.test.yaml`;
}

/** Prints only what compiles. */
async function write(answers: Answers, files: Files, force: boolean): Promise<void> {
  const text = renderResources(answers);
  const { labels, gateway, namespace } = answers;
  const workload = { labels, gateway, namespace: namespace ?? (labels || gateway ? "default" : undefined) };
  const { diagnostics, findings } = review([{ name: files.policy ?? "<new>", text }], workload);
  if (report(diagnostics)) throw new UserError("error: these answers are not a valid policy: see above");
  const style = styleFor(process.stderr);
  for (const finding of findings.filter(({ code }) => code !== "JG000"))
    process.stderr.write(`${formatFinding(finding, style)}\n`);
  if (files.policy === undefined) await print(text);
  else await writeBoth(answers, text, files.policy, files.tests, force);
}

/** Writes the policy and its tests: both, or neither. */
async function writeBoth(
  answers: Answers,
  text: string,
  policy: string,
  tests: string | undefined,
  force: boolean,
): Promise<void> {
  const before = [policy, tests].filter((file) => file !== undefined).filter(isThere);
  if (before.length > 0 && !force) {
    const names = before.map(printable).join(" and ");
    throw new UserError(`${names}: this file exists: name another one with -o, or replace it with --force`);
  }
  // Another program may have written the file since, so the check is repeated when the name is given.
  const options = { isNew: !force };
  await writeUserFile("the policy", policy, text, isDevice(policy) ? {} : options);
  if (tests === undefined) return tellNext(policy, tests);
  try {
    await writeUserFile("the tests", tests, renderTests(answers, basename(policy)), options);
  } catch (error) {
    if (!before.includes(policy)) rmSync(policy, { force: true });
    throw error;
  }
  tellNext(policy, tests);
}

function isThere(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isDevice(file: string): boolean {
  const there = statSync(file, { throwIfNoEntry: false });
  return there !== undefined && !there.isFile() && !there.isDirectory();
}

/** Prints commands that can be copied. */
function tellNext(policy: string, tests: string | undefined): void {
  const [policyWord, testsWord] = [policy, tests ?? ""].map(fileWord);
  const commands = [
    ...(tests === undefined ? [] : [`jwtgate test ${testsWord}`]),
    `jwtgate check -f ${policyWord}`,
    `jwtgate run -f ${policyWord} --upstream 127.0.0.1:8000`,
    `jwtgate compile -f ${policyWord} --output envoy --listen 127.0.0.1:8080 --upstream 127.0.0.1:8000`,
  ];
  const files = [policy, tests].filter((file) => file !== undefined).map(printable);
  process.stderr.write(
    `wrote ${files.join(" and ")}\n\nNext, with the address of your service for 127.0.0.1:8000:\n${commands.map((line) => `  ${line}\n`).join("")}`,
  );
}

/** A name that begins with a dash would be read as an option. */
function fileWord(file: string): string {
  return shellWord(file.startsWith("-") ? `./${file}` : file);
}
