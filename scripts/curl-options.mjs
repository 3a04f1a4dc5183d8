#!/usr/bin/env node
/**
 * Writes tools/explain/curl-options.ts: the options that curl has, from the table that curl itself reads its command line by.
 *
 *   git clone --depth 1 https://github.com/curl/curl && node scripts/curl-options.mjs curl
 *
 * The argument is a checkout of curl, or a bare repository of it. A test fails until each new option has its place in
 * tools/explain/curl-effects.ts.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [repository] = process.argv.slice(2);
if (repository === undefined) {
  process.stderr.write("usage: node scripts/curl-options.mjs CURL-REPOSITORY\n");
  process.exit(2);
}
const read = (path) => execFileSync("git", ["-C", repository, "show", `HEAD:${path}`], { encoding: "utf8" });

const version = /LIBCURL_VERSION "([\d.]+)/.exec(read("include/curl/curlver.h"))?.[1];
const table = /LongShort aliases\[\] = \{([\s\S]*?)\n\};/.exec(read("src/tool_getparam.c"))?.[1];
if (version === undefined || table === undefined) throw new Error("curl keeps its options elsewhere now");
// Options of debug builds and of a library for DOS; those within #ifndef are in all usual builds.
const usual = table.replace(/#ifdef [\s\S]*?#endif\n/g, "");
const entries = [...usual.matchAll(/\{"([^"]+)",\s*([A-Z_|]+),\s*'(.)',\s*\w+\}/g)].map(
  ([, name, description, letter]) => {
    const flags = description.split("|");
    const takes = flags.includes("ARG_BOOL") ? "switch" : flags.includes("ARG_NONE") ? "nothing" : "value";
    const short = letter === " " ? "" : letter;
    return [name, takes, short, ...(short !== "" && flags.includes("ARG_NO") ? ["off"] : [])];
  },
);
if (entries.length !== usual.split("{").length - 1) throw new Error("a line of curl's table was not read");

const lines = entries.map((entry) => `  ${JSON.stringify(entry)},`).join("\n");
writeFileSync(
  fileURLToPath(new URL("../tools/explain/curl-options.ts", import.meta.url)),
  `/** Written by scripts/curl-options.mjs from src/tool_getparam.c of curl ${version}. */

export const CURL_VERSION = ${JSON.stringify(version)};

/**
 * The long name; what the option takes: nothing, nothing but \`--no-\` before it, or a value; its letter, or none; and \`off\`
 * if the letter switches off what the name switches on.
 */
export type CurlOption = readonly [
  name: string,
  takes: "nothing" | "switch" | "value",
  letter: string,
  off?: "off",
];

export const CURL_OPTIONS: readonly CurlOption[] = [
${lines}
];
`,
);
