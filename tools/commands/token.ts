/** `jwtgate token`: makes tokens for tests, decodes a token, and verifies it. */
import { Command, Option } from "commander";
import type { SourceMap } from "../compile.ts";
import { withContents } from "../config/contents.ts";
import { CONFIGURATION_VERSION, type Configuration } from "../config/schema.ts";
import { formatPosition, printable, printableJson, type Style } from "../diagnostics.ts";
import type { ProviderStep } from "../explain/tokens.ts";
import { utf8Encode, wireText } from "../host/bytes.ts";
import { ALGORITHM_NAMES } from "../jwks/algorithms.ts";
import { NoKey, readKeys, readPrivateKeyText, readPrivatePem } from "../jwks/convert.ts";
import { fetchText } from "../jwks/discovery.ts";
import { JsonError, parseStrictJson } from "../jwks/json.ts";
import { normalizeJwks } from "../jwks/normalize.ts";
import { fetchDocuments } from "../token/documents.ts";
import { NoSigningKey, Signer } from "../token/signer.ts";
import { refusalUnseen, type Verdict, verifyToken } from "../token/verifier.ts";
import { collect, parseNamed, parseTime } from "../values.ts";
import { readBytes, readText } from "./input.ts";
import { loadModules } from "./module.ts";
import { outputFileOption, print, report, resultStream, UserError } from "./output.ts";
import {
  addClusterOptions,
  addWorkloadOptions,
  loadPolicies,
  misuseOfCluster,
  type PolicyOptions,
} from "./policies.ts";
import { reasonOf } from "./sources.ts";
import { styleFor } from "./style.ts";

const SIGN_EXAMPLES = `
Examples:
  A token for a test, good for an hour:
    $ jwtgate jwk --generate ES256 --private key.pem > jwks.json
    $ jwtgate token sign --key key.pem --iss https://issuer.example --sub alice
  One that expired five minutes ago, with a list and an object:
    $ jwtgate token sign --key key.pem --iss https://issuer.example --exp -5m \\
        --claim 'groups=["admin","dev"]' --claim 'org={"unit":"sales"}'
  Claims from a file:
    $ echo '{"iss":"https://issuer.example","exp":4102444800}' > claims.json
    $ jwtgate token sign --key key.pem --claims claims.json

The key is a private key in PEM, a JWK or a key set. Later claims replace earlier ones: those of --claims first, then
--iss, --sub and --aud, then --claim. Times are 30s, 5m, 2h, 1d (with - in front: ago), seconds since 1970, or a date.
Exit code: 0, or 1 if the token cannot be signed, or 2 if the command line is wrong.`;

const DECODE_EXAMPLES = `
Examples:
  What is in a token:
    $ echo $TOKEN | jwtgate token decode
  Its subject, for a script:
    $ jwtgate token decode $TOKEN --json | jq -r .payload.sub

Nothing is verified: anyone can write such a token. Exit code: 0, or 1 if it cannot be read, or 2 if the command
line is wrong.`;

const VERIFY_EXAMPLES = `
Examples:
  Under the policies of a folder, by the module that runs in Envoy:
    $ jwtgate token verify -f policies/ $TOKEN
  With a key set, from any issuer:
    $ jwtgate token verify --jwks jwks.json $TOKEN
  At another time:
    $ jwtgate token verify -f policies/ --at 2030-01-01 $TOKEN

Keys that policies name by URL are fetched now. jwtgate explain shows what policies allow the token. Exit
code: 0 if the token is good, 1 if it is not or cannot be verified, 2 if the command line is wrong.`;

/** A longer text is not a token: Envoy accepts no request that large. */
const MAX_TOKEN_CHARACTERS = 1024 * 1024;

export function tokenCommand(): Command {
  return new Command("token")
    .description("sign, decode and verify tokens")
    .addCommand(signCommand())
    .addCommand(decodeCommand())
    .addCommand(verifyCommand())
    .addHelpText(
      "after",
      "\nExamples:\n  Each command has help with examples:\n    $ jwtgate token sign --help\n    $ jwtgate token verify --help",
    );
}

const DEFAULT_LIFETIME_SECONDS = 3600;

interface SignOptions {
  key: string;
  alg?: string;
  kid?: string;
  iss?: string;
  sub?: string;
  aud?: string[];
  exp?: number | "never";
  nbf?: number;
  claim?: Record<string, unknown>;
  claims?: string;
  header?: Record<string, unknown>;
  json?: boolean;
}

function signCommand(): Command {
  return new Command("sign")
    .description("sign a token, for tests")
    .requiredOption("--key <file>", "private key: PEM, JWK or key set, or - for standard input")
    .addOption(
      new Option("--alg <alg>", "algorithm (default: the key's own, or its type's usual one)").choices(
        ALGORITHM_NAMES,
      ),
    )
    .option("--kid <id>", "key id (default: as jwtgate jwk gives it); chooses among several keys")
    .option("--iss <issuer>", "its issuer")
    .option("--sub <subject>", "its subject")
    .option("--aud <audience>", "its audience; may be repeated", collect)
    .option("--exp <time>", "when it expires, or never (default: now+1h)", parseExpiry)
    .option("--nbf <time>", "when it becomes valid, such as now-5m", parseTime)
    .option("--claim <name=value>", "any other claim; JSON, or else a string; may be repeated", parseNamed)
    .option("--claims <file>", "claims as a JSON object, or - for standard input")
    .option("--header <name=value>", "a member of the header; may be repeated", parseNamed)
    .option("--json", "print the token with its header and claims as JSON")
    .addOption(outputFileOption())
    .addHelpText("after", SIGN_EXAMPLES)
    .action(sign);
}

async function sign(options: SignOptions): Promise<void> {
  const { key, kid, alg, json, header = {} } = options;
  const signer = await readSigner(key, { kid, algorithm: alg });
  const claims = claimsOf(options);
  const token = await signer.sign(claims, header);
  await print(json ? `${printableJson({ token, header: decodePart(token, 0), claims }, 2)}\n` : `${token}\n`);
}

async function readSigner(
  file: string,
  options: { kid: string | undefined; algorithm: string | undefined },
): Promise<Signer> {
  try {
    const text = readPrivateKeyText(readBytes(file));
    return await Signer.read(text, { ...options, readPem: readPrivatePem });
  } catch (error) {
    if (error instanceof NoSigningKey || error instanceof NoKey)
      throw new UserError(`${file}: ${error.message}`);
    throw error;
  }
}

function claimsOf({ iss, sub, aud, exp, nbf, claim, claims }: SignOptions): object {
  const [audience, ...more] = aud ?? [];
  const iat = Math.floor(Date.now() / 1000);
  return {
    iat,
    ...(exp !== "never" && { exp: exp ?? iat + DEFAULT_LIFETIME_SECONDS }),
    ...(claims !== undefined && readClaims(claims)),
    ...(nbf !== undefined && { nbf }),
    ...(iss !== undefined && { iss }),
    ...(sub !== undefined && { sub }),
    ...(audience !== undefined && { aud: more.length === 0 ? audience : aud }),
    ...claim,
  };
}

function readClaims(file: string): object {
  const text = readText(file);
  try {
    const value = parseStrictJson(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new UserError(`${file}: ${error.message}`);
  }
  throw new UserError(`${file}: claims are a JSON object`);
}

function parseExpiry(text: string): number | "never" {
  return text === "never" ? text : parseTime(text);
}

function decodeCommand(): Command {
  return new Command("decode")
    .description("show what is in a token, without verifying it")
    .argument("[token]", "the token, with Bearer before it or without; - is standard input", "-")
    .option("--json", "print it as JSON")
    .addOption(outputFileOption())
    .addHelpText("after", DECODE_EXAMPLES)
    .action(decode);
}

async function decode(argument: string, { json }: { json?: boolean }): Promise<void> {
  const token = readToken(argument);
  const parts = token.split(".");
  const [header, payload] = [0, 1].map((index) => decodePart(token, index));
  if (header === undefined && payload === undefined) {
    throw new UserError(
      parts.length === 5
        ? "this is an encrypted token (JWE): only its recipient can read it, and the filter accepts none"
        : "this is not a token: neither header nor payload is base64url of JSON",
    );
  }
  const refusal = await refusalUnseen(token, await loadModules());
  if (json) {
    const output = { verified: false, header, payload, ...(refusal !== undefined && { refusal }) };
    await print(`${printableJson(output, 2)}\n`);
    return;
  }
  const style = styleFor(resultStream());
  const lines = [
    style.bad("NOT verified: anyone can write such a token."),
    `header   ${show(header)}`,
    `payload  ${show(payload)}`,
    ...["iat", "nbf", "exp"].flatMap((name) => {
      const value = (payload as Record<string, unknown> | undefined)?.[name];
      return typeof value === "number" ? [`${name}      ${showTime(value)}`] : [];
    }),
    ...(refusal === undefined ? [] : [style.bad(`The filter refuses it, whatever the policies: ${refusal}`)]),
  ];
  await print(`${lines.join("\n")}\n`);
}

/** Decodes a part as leniently as possible. @returns undefined if it is not JSON */
function decodePart(token: string, index: number): unknown {
  try {
    return JSON.parse(Buffer.from(token.split(".")[index] ?? "", "base64url").toString());
  } catch {
    return undefined;
  }
}

function show(value: unknown): string {
  if (value === undefined) return "(cannot be read)";
  return printableJson(value, 2);
}

/** A NumericDate as text. */
function showTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return String(seconds);
  const away = seconds - Date.now() / 1000;
  const text = date.toISOString().replace(/\.000Z$/, "Z");
  return `${text} (${away < 0 ? `${duration(-away)} ago` : `in ${duration(away)}`})`;
}

/** In the largest unit of which it has at least two. */
function duration(seconds: number): string {
  const units = [
    ["years", 31_557_600],
    ["days", 86_400],
    ["hours", 3_600],
    ["minutes", 60],
  ] as const;
  const [name, size] = units.find(([, length]) => seconds >= 2 * length) ?? ["s", 1];
  return `${Math.floor(seconds / size)} ${name}`;
}

/** @throws {UserError} if there is none */
function readToken(argument: string): string {
  const text = (argument === "-" ? readText("-") : argument).trim().replace(/^bearer\s+/i, "");
  if (text === "")
    throw new UserError("error: there is no token: pass it as an argument or on standard input");
  if (text.length > MAX_TOKEN_CHARACTERS) throw new UserError("error: this is too large for a token");
  return wireText(text);
}

interface VerifyOptions extends PolicyOptions {
  jwks?: string;
  jwksCa?: string;
  iss?: string;
  aud?: string[];
  at?: number;
  json?: boolean;
}

function verifyCommand(): Command {
  const command = new Command("verify")
    .description("verify a token under policies or a key set, and print why it is refused")
    .argument("[token]", "the token, with Bearer before it or without; - is standard input", "-")
    .option("-f, --file <path>", "policies: a YAML file, a folder, a glob, or -; may be repeated", collect);
  addClusterOptions(command)
    .option("--jwks <file>", "a key set, a JWK or PEM instead of policies; or its URL")
    .option("--jwks-ca <file>", "authorities of the servers that keys are fetched from, PEM")
    .option("--iss <issuer>", "with --jwks: the required issuer")
    .option("--aud <audience>", "with --jwks: an accepted audience; may be repeated", collect)
    .option(
      "--at <time>",
      "the time of the check: 2030-01-31T12:00:00Z, now+1h, seconds since 1970",
      parseTime,
    )
    .option("--json", "print it as JSON")
    .addOption(outputFileOption());
  return addWorkloadOptions(command)
    .optionsGroup("Help:")
    .addHelpText("after", VERIFY_EXAMPLES)
    .action(async (token: string, options: VerifyOptions, self: Command) => {
      const wrong = (message: string): never => self.error(`error: ${message}`);
      const misused = misuseOfCluster(options);
      if (misused !== undefined) wrong(misused);
      const isUnderPolicies = options.file !== undefined || options.fromCluster === true;
      if (isUnderPolicies === (options.jwks !== undefined)) {
        wrong("name what to verify it under: -f POLICIES, --from-cluster or --jwks FILE");
      }
      if (isUnderPolicies && (options.iss ?? options.aud) !== undefined) {
        wrong("--iss and --aud belong to --jwks: policies name their own");
      }
      if (token === "-" && options.file?.includes("-")) {
        wrong("standard input cannot hold both the policies and the token");
      }
      await verify(token, options);
    });
}

type Positions = Pick<SourceMap, "providers" | "constraints">;

interface Judge {
  configuration: Configuration;
  positions: Positions;
}

async function verify(argument: string, options: VerifyOptions): Promise<void> {
  const token = readToken(argument);
  const { configuration, positions } = await judgeOf(options);
  const { documents, answers, failures } = await fetchDocuments(configuration, new Map(), options.jwksCa);
  for (const [uri, reason] of failures) process.stderr.write(`warning: ${printable(`${uri}: ${reason}`)}\n`);
  const now = options.at === undefined ? Date.now() : options.at * 1000;
  const verdict = await verifyToken(token, {
    modules: await loadModules(),
    configuration,
    positions,
    documents,
    answers,
    now,
  });
  const output = options.json
    ? `${printableJson(asJson(verdict, positions.providers), 2)}\n`
    : asText(verdict, positions.providers, styleFor(resultStream()));
  await print(output);
  if (!verdict.valid) throw new UserError("");
}

async function judgeOf(options: VerifyOptions): Promise<Judge> {
  const { jwks, iss, aud } = options;
  if (jwks === undefined) {
    const { result } = await loadPolicies(options);
    if (result.configuration?.providers === undefined) {
      throw new UserError("error: there is no RequestAuthentication here, so no token can be verified");
    }
    const { configuration, sourceMap = { providers: {}, constraints: {} } } = result;
    return { configuration, positions: sourceMap };
  }
  const provider = {
    name: "origins-0",
    ...(iss !== undefined && { issuer: iss }),
    ...(aud !== undefined && { audiences: aud }),
    localJwks: { keys: await readJwks(jwks, options.jwksCa) },
  };
  const position = { file: jwks, line: 0, column: 0 };
  const configuration = withContents({ version: CONFIGURATION_VERSION, providers: [provider] });
  return { configuration, positions: { providers: { "origins-0": position }, constraints: {} } };
}

async function readJwks(file: string, caFile: string | undefined) {
  try {
    const isUrl = /^https?:\/\//.test(file);
    const bytes = isUrl ? utf8Encode(await fetchText(file, { caFile })) : readBytes(file);
    const { keys, problems } = normalizeJwks(JSON.stringify(readKeys(bytes)));
    const failed = report(
      problems.map(({ severity, message }) => ({ file, line: 0, column: 0, severity, message })),
    );
    if (failed) throw new UserError("");
    return keys;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file}: ${error instanceof NoKey ? error.message : reasonOf(error)}`);
  }
}

/** The verdict as JSON, for scripts. */
function asJson(verdict: Verdict, positions: SourceMap["providers"]): object {
  const { valid, answer, provider, claims, steps } = verdict;
  return {
    valid,
    ...answer,
    ...(provider && { policy: provider.policy, issuer: provider.issuer, at: positions[provider.name] }),
    ...(claims && { claims }),
    providers: steps.map((step) => ({
      policy: step.policy,
      issuer: step.issuer,
      at: positions[step.provider],
      refusal: step.refusal,
      reason: step.tokens[0]?.reason,
      keys: step.tokens[0]?.keys,
    })),
  };
}

function asText(verdict: Verdict, positions: SourceMap["providers"], style: Style): string {
  const { valid, answer, provider, claims = {}, steps } = verdict;
  const lines: string[] = [];
  const nameOf = (name: string, policy: string | undefined): string => {
    const at = positions[name];
    const place = at === undefined ? "" : formatPosition(at);
    return policy === undefined
      ? `the key set ${place}`
      : `RequestAuthentication ${printable(policy)} (${place})`;
  };
  if (valid) {
    lines.push(style.good(`good: ${nameOf(provider?.name ?? "", provider?.policy)} accepts it`));
    lines.push(
      `  principal  ${[claims["iss"], claims["sub"]].map((part) => printable(String(part ?? ""))).join("/")}`,
    );
    const { exp } = claims;
    lines.push(`  expires    ${typeof exp === "number" ? showTime(exp) : "never"}`);
  } else {
    lines.push(style.bad(`refused with ${answer?.status}: ${printable(answer?.body ?? "")}`));
  }
  for (const step of steps) {
    if (valid && step.refusal !== "") continue;
    if (!valid) lines.push(`  ${nameOf(step.provider, step.policy)}: ${printable(step.refusal)}`);
    lines.push(...reasonsOf(step));
  }
  return `${[...new Set(lines)].join("\n")}\n`;
}

function reasonsOf({ tokens: [token] }: ProviderStep): string[] {
  const reason = token?.reason === undefined ? [] : [`    ${printable(token.reason)}`];
  const keys = (token?.keys ?? []).map(({ index, kid, kty, outcome }) => {
    const name =
      kid === undefined ? `keys[${index}]` : `keys[${index}] (kid ${printable(JSON.stringify(kid))})`;
    return `    ${name} ${kty}: ${printable(outcome)}`;
  });
  return [...reason, ...keys];
}
