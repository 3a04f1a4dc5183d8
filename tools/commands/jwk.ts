/** `jwtgate jwk`: converts keys from common formats to a key set that policies can hold. */
import { lstatSync } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { asciiJson, printable } from "../diagnostics.ts";
import { ALGORITHM_NAMES, algorithmNamed } from "../jwks/algorithms.ts";
import { NoKey, privatePem, readKeys } from "../jwks/convert.ts";
import { normalizeJwks } from "../jwks/normalize.ts";
import { type JsonKey, thumbprint } from "../jwks/thumbprint.ts";
import { PrivateKey } from "../token/private-key.ts";
import { nameOf, readBytes } from "./input.ts";
import { outputFileOption, print, report, tell, UserError, writeUserFile } from "./output.ts";

interface Options {
  generate?: string;
  private?: string;
  force?: boolean;
  outputFile?: string;
  kid?: string;
  alg?: string;
  thumbprint?: boolean;
  chain?: boolean;
}

const EXAMPLES = `
Examples:
  A key that OpenSSL made, for the jwks of a RequestAuthentication:
    $ openssl genrsa -out key.pem 2048
    $ jwtgate jwk key.pem --alg RS256
  One key set of several keys and certificates:
    $ jwtgate jwk old.jwks.json new-certificate.pem
  A new key; its private half goes into a file that only you can read:
    $ jwtgate jwk --generate ES256 --private new-key.pem -o new.jwks.json
  Thumbprints (RFC 7638):
    $ jwtgate jwk key.pem --thumbprint

Private members never reach the output. Exit code: 0, or 1 if a key cannot be used, or 2 if the command line is
wrong.`;

export function jwkCommand(): Command {
  return new Command("jwk")
    .description("turn PEM keys, certificates, JWKs and key sets into one key set of public keys")
    .argument("[file...]", "files, or - for standard input")
    .addOption(new Option("--generate <alg>", "make a new key").choices(ALGORITHM_NAMES))
    .option("--private <file>", "file for the new key's private half, as PEM")
    .option("--force", "replace the file of --private, with the key that it contains")
    .option("--kid <id>", "the key's id (default: the one it has, or its thumbprint)")
    .addOption(
      new Option("--alg <alg>", "the algorithm of keys that do not name one").choices(ALGORITHM_NAMES),
    )
    .option("--chain", "also take the keys of certificates that issued another one in the file")
    .addOption(outputFileOption())
    .option("--thumbprint", "print the keys' thumbprints instead")
    .addHelpText("after", EXAMPLES)
    .action(async (files: string[], options: Options, command: Command) => {
      checkUsage(files, options, command);
      await run(files, options);
    });
}

function checkUsage(files: string[], options: Options, command: Command): void {
  const wrong = (message: string): never => command.error(`error: ${message}`);
  if (files.length === 0 && options.generate === undefined)
    wrong("name a file of keys, or make one with --generate ALG");
  const secret = algorithmNamed(options.generate ?? "")?.kty === "oct";
  if (options.private !== undefined && options.generate === undefined)
    wrong("--private belongs to --generate");
  if (options.force && options.private === undefined) wrong("--force belongs to --private");
  const { private: file, outputFile } = options;
  if (file !== undefined && outputFile !== undefined && resolve(file) === resolve(outputFile))
    wrong("--private and -o name the same file: the private key and the public keys need one each");
  if (options.private !== undefined && secret)
    wrong(`a secret for ${options.generate} has no private half: leave --private out`);
  if (options.private === undefined && options.generate !== undefined && !secret) {
    wrong("--generate needs --private FILE: without its private half the key is of no use");
  }
}

async function run(files: string[], options: Options): Promise<void> {
  const read = files.flatMap((file) => readFile(file, options));
  const made = options.generate === undefined ? undefined : await makeKey(options.generate);
  const all = [...read, ...(made ? [{ file: "new key", key: made.key }] : [])];
  if (options.kid !== undefined && all.length > 1)
    throw new UserError("error: --kid is for one key, but there are several");
  const keys = all.map(({ file, key }) => ({ file, key: complete(key, options) }));
  const { keys: usable, problems } = normalizeJwks(JSON.stringify({ keys: keys.map(({ key }) => key) }));
  const failed = report(
    problems.map(({ severity, message, keyIndex = 0 }) => {
      return { file: keys[keyIndex]?.file ?? "", line: 0, column: 0, severity, message };
    }),
  );
  if (failed) throw new UserError("");
  const unique = [...new Map(usable.map((key) => [JSON.stringify(key), key])).values()];
  if (options.thumbprint && unique.some(({ kty }) => kty === "oct")) {
    throw new UserError("error: oct keys have no thumbprint, because it would help to guess the secret");
  }
  if (made !== undefined && options.private !== undefined)
    await writePrivateKey(options.private, made.privateKey(), options.force ?? false);
  await print(
    options.thumbprint
      ? unique.map((key) => `${thumbprint(key)}\n`).join("")
      : `${asciiJson({ keys: unique }, 2)}\n`,
  );
}

function readFile(path: string, { chain = false }: Options): { file: string; key: unknown }[] {
  const file = nameOf(path);
  const bytes = readBytes(path);
  try {
    const { keys, notes } = readKeys(bytes, { chain });
    for (const note of notes) tell(printable(`${file}: ${note}`), process.stderr);
    return keys.map((key) => ({ file, key }));
  } catch (error) {
    if (error instanceof NoKey) throw new UserError(`${file}: ${error.message}`);
    throw error;
  }
}

/** A new key for an algorithm: its public half, or the secret, and a function that returns the private half as PEM. */
async function makeKey(name: string): Promise<{ key: JsonKey; privateKey: () => string }> {
  const key = await PrivateKey.generate(name);
  return { key: { ...key.verifying, alg: name }, privateKey: () => privatePem(key.signing) };
}

/** Only its owner can read it. An existing key is overwritten only if the user asks for it. */
async function writePrivateKey(file: string, pem: string, isForced: boolean): Promise<void> {
  if (!isForced && lstatSync(file, { throwIfNoEntry: false })) {
    throw new UserError(
      `${file}: this file exists, and may hold a key that is in use: name another one, or replace it with --force`,
    );
  }
  await writeUserFile("the private key", file, pem, { mode: 0o600, isNew: !isForced });
}

/** A key with the requested id and algorithm. */
function complete(value: unknown, options: Options): unknown {
  if (typeof value !== "object" || value === null) return value;
  const key = value as JsonKey;
  // A thumbprint of a secret would help to guess it (RFC 7638 §7).
  const kid = options.kid ?? key["kid"] ?? (key["kty"] === "oct" ? undefined : thumbprint(key));
  const alg = key["alg"] ?? options.alg;
  return { ...key, ...(kid !== undefined && { kid }), ...(alg !== undefined && { alg }) };
}
