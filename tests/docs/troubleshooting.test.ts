/** The page of answers has each text that the filter can say, and no other; its commands are the tool's. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { blocks, ROOT, readMarkdown } from "./markdown.ts";

const page = readMarkdown("docs/troubleshooting.md");
const reference = readMarkdown("docs/reference/commands.md");

const source = (file: string) => readFileSync(join(ROOT, "assembly", file), "utf8");

/** Cells of the rows under a heading, without those of the table's head. */
function rows(heading: string): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("| "));
  return lines.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const HEADINGS = {
  forbidden: "403",
  token: "401: the token is not valid now, or not here",
  form: "401: it is not a token of RFC 7515 and RFC 7519",
};

describe("docs/troubleshooting.md", () => {
  test("has every refusal of a token, and of a policy", () => {
    const status = source("jose/status.ts");
    const answer = source("answer.ts");
    const refusals = [...status.matchAll(/^define\(\s*Status\.\w+,\s*"(.*?)",?\s*\);/gms)].map(
      ([, text]) => text,
    );
    const around = (name: string) =>
      ["", "_END"]
        .map((end) => new RegExp(`${name}${end} = new Text\\("(.*)"\\)`).exec(answer)?.[1])
        .join("NAME");
    const named = ["CLAIM_NOT_HEADER_VALUE", "CLAIM_MISSING"].map(around);
    const denied = /ACCESS_DENIED = new Text\("(.*)"\)/.exec(answer)?.[1];
    const listed = Object.values(HEADINGS).flatMap((heading) => rows(heading).map(([body]) => body));
    expect(listed.toSorted()).toEqual(
      [...refusals, ...named, denied].map((text) => `\`${text}\``).toSorted(),
    );
    expect(refusals.length).toBeGreaterThan(25);
  });

  test("has 403 for the messages of a 403", () => {
    const [, only] = /status == Status\.(\w+) \? 403 : 401/.exec(source("answer.ts")) ?? [];
    const [, body] = new RegExp(`Status\\.${only}, "(.*)"`).exec(source("jose/status.ts")) ?? [];
    expect(rows(HEADINGS.forbidden).map(([text]) => text)).toEqual(["`RBAC: access denied`", `\`${body}\``]);
  });

  test("has the answer of 500, with its details", () => {
    const answer = source("answer.ts");
    const [, body] = /HOST_FAILURE = new Text\("(.*)"\)/.exec(answer) ?? [];
    const [, details] = /HOST_FAILURE_DETAILS = new Text\("(.*)"\)/.exec(answer) ?? [];
    const [status, text, cause] = rows("500 and 503")[0] ?? [];
    expect([status, text]).toEqual(["500", `\`${body}\``]);
    expect(cause).toContain(`\`${details}\``);
  });

  test("has every reason why keys are not fetched", () => {
    const calls = source("authn/remote-jwks.ts").matchAll(
      /this\.fail\(\s*now,\s*(?:this\.)?counters\.\w+,\s*(["'`])(.*?)\1,\s*\w+,?\s*\)/gs,
    );
    const reasons = [...calls].map(([, , reason = ""]) => `\`${reason.replace(/\$\{.*?\}/g, "…")}\``);
    expect(rows("Keys are not fetched").map(([reason]) => reason)).toEqual(
      expect.arrayContaining([...new Set(reasons)]),
    );
    expect(rows("Keys are not fetched")).toHaveLength(new Set(reasons).size);
  });

  test("has a cause and a command for each refusal", () => {
    for (const [body = "", cause = "", command = ""] of Object.values(HEADINGS).flatMap(rows)) {
      expect(cause, body).not.toBe("");
      expect(command, body).toMatch(/^`jwtgate /);
    }
  });

  test("names commands and options that there are", () => {
    const typed = [
      ...[...page.matchAll(/`(jwtgate [^`]*)`/g)].map(([, command = ""]) => command),
      ...blocks(page).flatMap(({ text }) => text.split("\n").filter((line) => line.startsWith("jwtgate "))),
    ].filter((command) => !command.startsWith("jwtgate_"));
    for (const command of typed) {
      const [, name = ""] = /^jwtgate ((?:token )?[a-z]+)/.exec(command) ?? [];
      const section = reference.split(/^#+ jwtgate /m).find((text) => text.startsWith(`${name}\n`)) ?? "";
      expect(section, command).not.toBe("");
      for (const [option] of command.replace(/'.*'/, "").matchAll(/(?<= )--?[a-z-]+/g)) {
        expect(section, command).toMatch(new RegExp(`^ .*${option}\\b`, "m"));
      }
    }
    expect(typed.length).toBeGreaterThan(30);
  });
});
