/** `jwtgate new`: a gateway's RequestAuthentication and AuthorizationPolicy, by questions or by flags. */
import { Command, InvalidArgumentError, Option } from "commander";
import { compile } from "../compile.ts";
import { asciiJson, printable } from "../diagnostics.ts";
import { NoKey, readKeys } from "../jwks/convert.ts";
import { normalizeJwks } from "../jwks/normalize.ts";
import { collect, parseLabels } from "../values.ts";
import { Interrupted, Questions } from "../wizard/questions.ts";
import {
  type Answers,
  hostsOpenByPort,
  renderResources,
  type Scope,
  type TokenPlace,
} from "../wizard/resources.ts";
import { readBytes } from "./input.ts";
import { outputFileOption, print, report, UserError } from "./output.ts";

interface Options {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  gateway?: string;
  issuer?: string;
  audience?: string[];
  jwks?: string;
  jwksUri?: string;
  fromHeader?: TokenPlace[];
  fromParam?: string[];
  fromCookie?: string[];
  forward?: boolean;
  payloadHeader?: string;
  claimHeader?: { header: string; claim: string }[];
  authIf?: boolean;
  bypassIf?: boolean;
  path?: string[];
  host?: string[];
  method?: string[];
}

const EXAMPLES = `
Examples:
  By questions, on a terminal:
    $ jwtgate new -o gateway.yaml
  A token everywhere but on two paths, keys from the issuer's URL:
    $ jwtgate new --issuer https://idp.example.com --jwks-uri https://idp.example.com/jwks.json \\
        --bypass-if --path /healthz --path '/public/*' -o gateway.yaml
    $ jwtgate compile -f gateway.yaml
  A token in a cookie for changes of one host; its subject goes to the service in a header:
    $ jwtgate jwk --generate ES256 --private key.pem > jwks.json
    $ jwtgate new --issuer https://idp.example.com --jwks jwks.json --from-cookie session \\
        --claim-header x-user=sub --auth-if --host shop.example.com --method POST --method PUT --method DELETE

What is printed has been compiled. Exit code: 0, or 1 where the answers make no policy, or 2 where the command line is
wrong.`;

export function newCommand(): Command {
  return new Command("new")
    .description("write a RequestAuthentication and an AuthorizationPolicy, by questions or by flags")
    .optionsGroup("Who issues tokens:")
    .option("--issuer <issuer>", "the token's iss")
    .option("--audience <audience>", "an aud that it may have; may be repeated", collect)
    .option("--jwks <file>", "the issuer's keys: a key set, PEM or certificate, or - for standard input")
    .option("--jwks-uri <url>", "where the keys are fetched from (default: discovered from the issuer)")
    .optionsGroup("Where the token stands (default: Authorization: Bearer, and the parameter access_token):")
    .option("--from-header <name[:prefix]>", "a header, as 'x-auth:Token '; may be repeated", parseHeader)
    .option("--from-param <name>", "a query parameter; may be repeated", collect)
    .option("--from-cookie <name>", "a cookie; may be repeated", collect)
    .optionsGroup("What the service behind gets:")
    .option("--forward", "the token itself")
    .option("--payload-header <name>", "the payload, in this header")
    .option("--claim-header <header=claim>", "a claim, in a header; may be repeated", parseClaimHeader)
    .optionsGroup("Which requests need a token (default: all):")
    .option("--auth-if", "only those that match")
    .option("--bypass-if", "all but those that match")
    .option("--path <path>", "a path to match: /x, /x*, */x; may be repeated", collectPath)
    .option("--host <host>", "a host to match, with any port; may be repeated", collect)
    .option("--method <method>", "a method to match; may be repeated", collectMethod)
    .optionsGroup("The resources:")
    .option("--name <name>", "their name", "jwt-gateway")
    .option("--namespace <name>", "their namespace")
    .addOption(new Option("--labels <labels>", "of the workloads, as NAME=VALUE,…").argParser(parseLabels))
    .option("--gateway <name>", "the Gateway (gateway.networking.k8s.io) that they are for")
    .addOption(outputFileOption())
    .optionsGroup("Help:")
    .addHelpText("after", EXAMPLES)
    .action(async (options: Options, command: Command) => {
      checkUsage(options, command);
      const answers = needsQuestions(options) ? await ask(options) : answersOf(options);
      await write(answers);
    });
}

/** `NAME` or `NAME:PREFIX`; the prefix with its space, as it stands before the token. */
function parseHeader(text: string, previous: TokenPlace[] = []): TokenPlace[] {
  const [, name, prefix] = /^([^:\s]+)(?::(.*))?$/s.exec(text) ?? [];
  if (name === undefined)
    throw new InvalidArgumentError("Write NAME or 'NAME:PREFIX ', such as 'x-auth:Token '.");
  return [...previous, { kind: "header", name, ...(prefix && { prefix }) }];
}

/** `HEADER=CLAIM`. */
function parseClaimHeader(text: string, previous: Answers["claimHeaders"] = []): Answers["claimHeaders"] {
  const [, header, claim] = /^([^=\s]+)=(\S+)$/.exec(text) ?? [];
  if (header === undefined || claim === undefined)
    throw new InvalidArgumentError("Write HEADER=CLAIM, such as x-user=sub.");
  return [...previous, { header, claim }];
}

const WRITE_PATH = "Write a path that begins with / or *, such as /healthz, /public/* or */health.";

/** No request has another: the resource would be right, and never match. */
function isPath(text: string): boolean {
  return /^[/*]/.test(text);
}

function collectPath(text: string, previous: string[] = []): string[] {
  if (!isPath(text)) throw new InvalidArgumentError(WRITE_PATH);
  return [...previous, text];
}

/** Policies compare methods with their case. */
function collectMethod(text: string, previous: string[] = []): string[] {
  return [...previous, text.toUpperCase()];
}

function checkUsage(options: Options, command: Command): void {
  const wrong = (message: string): never => command.error(`error: ${message}`);
  const { jwks, jwksUri, labels, gateway, authIf, bypassIf, path, host, method } = options;
  if (jwks !== undefined && jwksUri !== undefined) wrong("--jwks has the keys already: leave --jwks-uri out");
  if (labels !== undefined && gateway !== undefined) wrong("--labels or --gateway: a policy has one target");
  if (authIf && bypassIf) wrong("--auth-if or --bypass-if: both together mean nothing");
  const matches = (path ?? host ?? method) !== undefined;
  if (matches && !authIf && !bypassIf) {
    wrong("say what --path, --host and --method are for: --auth-if or --bypass-if");
  }
  if ((authIf || bypassIf) && !matches) wrong("say what to match: --path, --host or --method");
  if (needsQuestions(options) && !(process.stdin.isTTY && process.stderr.isTTY)) {
    wrong("--issuer is needed where nobody can be asked: this is no terminal");
  }
}

/** Without an issuer there is nothing to write, so a person has to be asked. */
function needsQuestions({ issuer }: Options): boolean {
  return issuer === undefined;
}

function answersOf(options: Options): Answers {
  const { name, namespace, labels, gateway, payloadHeader, authIf, bypassIf, jwks, jwksUri } = options;
  const named = (kind: TokenPlace["kind"], names: string[] = []) => names.map((one) => ({ kind, name: one }));
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(labels !== undefined && { labels }),
    ...(gateway !== undefined && { gateway }),
    issuer: options.issuer ?? "",
    audiences: options.audience ?? [],
    keys: {
      ...(jwks !== undefined && { jwks: readJwks(jwks) }),
      ...(jwksUri !== undefined && { jwksUri }),
    },
    places: [
      ...(options.fromHeader ?? []),
      ...named("parameter", options.fromParam),
      ...named("cookie", options.fromCookie),
    ],
    forward: options.forward ?? false,
    ...(payloadHeader !== undefined && { payloadHeader }),
    claimHeaders: options.claimHeader ?? [],
    scope: authIf ? "matched" : bypassIf ? "unmatched" : "all",
    match: { paths: options.path ?? [], hosts: options.host ?? [], methods: options.method ?? [] },
  };
}

/** The keys as `jwtgate jwk` writes them, without private members; what is wrong with them is said. */
function readJwks(file: string): string {
  const bytes = readBytes(file);
  try {
    const { keys, problems } = normalizeJwks(JSON.stringify(readKeys(bytes)));
    const failed = report(
      problems.map(({ severity, message }) => ({ file, line: 0, column: 0, severity, message })),
    );
    if (failed) throw new UserError("");
    return `${asciiJson({ keys }, 2)}\n`;
  } catch (error) {
    if (error instanceof NoKey) throw new UserError(`${file}: ${error.message}`);
    throw error;
  }
}

/** A label of DNS (RFC 1123), which every name in Kubernetes may be. */
function checkLabel(text: string): string | undefined {
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) return undefined;
  return "Write lower-case letters, digits and -, at most 63 characters.";
}

/** Asks for what flags have not said. */
async function ask(options: Options): Promise<Answers> {
  const questions = new Questions(process.stdin, process.stderr);
  try {
    return await askAll(questions, answersOf(options), options);
  } catch (error) {
    if (error instanceof Interrupted) throw new UserError("");
    throw error;
  } finally {
    questions.close();
  }
}

async function askAll(questions: Questions, said: Answers, options: Options): Promise<Answers> {
  const issuer = await questions.ask("Issuer (the token's iss)", "", (text) =>
    text === "" ? "Write what stands in the claim iss, such as https://idp.example.com" : undefined,
  );
  const keys = (options.jwks ?? options.jwksUri) ? said.keys : await askKeys(questions, issuer);
  const audiences = options.audience ?? (await questions.list("Audiences (empty: any)"));
  const places = said.places.length > 0 ? said.places : await askPlaces(questions);
  const forward = options.forward ?? (await yes(questions, "Pass the token on to the service behind"));
  const claimHeaders = options.claimHeader ?? (await askClaims(questions));
  const scope = said.scope === "all" ? await askScope(questions) : said.scope;
  const match = scope === "all" || said.scope !== "all" ? said.match : await askMatch(questions);
  const name = await questions.ask("Name of the resources", options.name, checkLabel);
  const namespace =
    options.namespace ??
    (await questions.ask("Namespace (empty: kubectl's)", "", (text) =>
      text === "" ? undefined : checkLabel(text),
    ));
  const { namespace: _namespace, ...rest } = said;
  return {
    ...rest,
    ...(namespace !== "" && { namespace }),
    ...{ issuer, keys, audiences, places, forward, claimHeaders, scope, match, name },
  };
}

async function askKeys(questions: Questions, issuer: string): Promise<Answers["keys"]> {
  const discoverable = issuer.startsWith("https://");
  const how = await questions.choose("Where are its keys?", [
    ["uri", "at a URL (jwksUri)"],
    ["file", "in a file here: a key set, PEM or certificate"],
    ...(discoverable ? ([["discover", "where the issuer's discovery document says"]] as const) : []),
  ]);
  if (how === "discover") return {};
  if (how === "file") {
    const file = await questions.ask("File", "", (text) =>
      text === "" ? "Write the file's path." : undefined,
    );
    return { jwks: readJwks(file) };
  }
  const jwksUri = await questions.ask("URL", "", (text) =>
    /^https?:\/\//.test(text) && URL.canParse(text) ? undefined : "Write https://HOST/PATH.",
  );
  return { jwksUri };
}

async function askPlaces(questions: Questions): Promise<TokenPlace[]> {
  const kind = await questions.choose("Where does the token stand?", [
    ["default", "Authorization: Bearer TOKEN, or the parameter access_token"],
    ["header", "another header"],
    ["parameter", "a query parameter"],
    ["cookie", "a cookie"],
  ]);
  if (kind === "default") return [];
  const name = await questions.ask("Its name", "", (text) => (text === "" ? "Write its name." : undefined));
  if (kind !== "header") return [{ kind, name }];
  const prefix = await questions.ask("What stands before the token (empty: nothing)", "");
  // A space parts them on the wire, and cannot be typed at the end of a line that is trimmed.
  return [{ kind, name, ...(prefix !== "" && { prefix: `${prefix} ` }) }];
}

async function askClaims(questions: Questions): Promise<Answers["claimHeaders"]> {
  const found: Answers["claimHeaders"] = [];
  for (;;) {
    const text = await questions.ask("A claim to pass on, as HEADER=CLAIM (empty: no more)", "", (answer) =>
      answer === "" || /^[^=\s]+=\S+$/.test(answer) ? undefined : "Write HEADER=CLAIM, such as x-user=sub.",
    );
    if (text === "") return found;
    found.push(...parseClaimHeader(text));
  }
}

function askScope(questions: Questions): Promise<Scope> {
  return questions.choose("Which requests need a token?", [
    ["all", "all"],
    ["matched", "only those that match what comes next"],
    ["unmatched", "all but those that match what comes next"],
  ]);
}

async function askMatch(questions: Questions): Promise<Answers["match"]> {
  for (;;) {
    const paths = await questions.list("Paths, such as /healthz /public/* (empty: any)");
    if (!paths.every(isPath)) {
      process.stderr.write(`  ${WRITE_PATH}\n`);
      continue;
    }
    const hosts = await questions.list("Hosts (empty: any)");
    const methods = await questions.list("Methods (empty: any)");
    if (paths.length + hosts.length + methods.length > 0) {
      return { paths, hosts, methods: methods.map((method) => method.toUpperCase()) };
    }
    process.stderr.write("  Name a path, a host or a method.\n");
  }
}

async function yes(questions: Questions, question: string): Promise<boolean> {
  const answer = await questions.ask(`${question} (y/n)`, "n", (text) =>
    /^(y|yes|n|no)$/i.test(text) ? undefined : "Write y or n.",
  );
  return /^y/i.test(answer);
}

/** Prints only what compiles. */
async function write(answers: Answers): Promise<void> {
  const text = renderResources(answers);
  const { labels, gateway, namespace } = answers;
  const workload = { labels, gateway, namespace: namespace ?? (labels || gateway ? "default" : undefined) };
  const { diagnostics } = compile([{ name: "<new>", text }], workload);
  if (report(diagnostics)) throw new UserError("error: these answers make no policy: see above");
  for (const host of hostsOpenByPort(answers)) {
    process.stderr.write(
      `warning: ${printable(`${host} does not match a request that names a port (x${host.slice(1)}:80)`)}, which then needs no token: name the hosts one by one, or match paths\n`,
    );
  }
  await print(text);
}
