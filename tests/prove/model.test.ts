/** The parts of the model compared with what they represent: patterns, request paths, and authentication. */
import { describe, expect, test } from "vitest";
import type { Predicate, StringMatch } from "../../tools/config/schema.ts";
import { wireText } from "../../tools/host/bytes.ts";
import { normalizePath, type PathNormalization } from "../../tools/host/http-connection-manager.ts";
import { addressClasses } from "../../tools/prove/addresses.ts";
import { statusCodeOf, VERIFIED } from "../../tools/prove/authentication.ts";
import { claimSubject } from "../../tools/prove/model.ts";
import { type Pattern, patternOf, peerPatternOf } from "../../tools/prove/patterns.ts";
import { type Scenario, scenariosOf } from "../../tools/prove/scenarios.ts";
import { canArrive, type Domain, textClasses } from "../../tools/prove/texts.ts";
import { targetOf, WitnessMaker } from "../../tools/prove/witness.ts";
import { Random } from "../fuzz/random.ts";
import { predicateHolds } from "../model/authz.ts";
import { compiled, MODULE, policies } from "./random.ts";

const WORDS = [
  "",
  "/",
  "a",
  "/a",
  "b",
  "é",
  "\n",
  " ",
  "spiffe://",
  "/ns/foo/",
  "sa/bar",
  "foo",
  ".",
  "td",
  "*",
  "[",
  "%41",
  "A",
];
const text = (random: Random) => random.list(0, 6, () => random.pick(WORDS)).join("");

const TEMPLATES = ["/{*}", "/a/{*}", "/a/{**}", "/{*}/b", "/{**}/b", "/a/{*}/b/{**}", "/{*}/{*}", "/{**}"];

/** A predicate about one text, and its pattern. */
function compared(random: Random): { predicate: Predicate; pattern: Pattern } {
  const value = text(random);
  const match = random.pick([
    { exact: value },
    { prefix: value || "a" },
    { suffix: value || "a" },
    { nonEmpty: true as const },
  ]);
  const peers: Predicate[] = [
    // The oracle takes names of certificates for bytes.
    { principal: asciiOf(match) },
    {
      peer: random.pick([
        ["", "/ns/foo/", ""],
        ["spiffe://", "r"],
        ["", "a", "a", ""],
        ["a", "b"],
      ]),
    },
    {
      trustDomain: random.pick([
        ["", ""],
        ["td", ""],
        ["", "a"],
        ["td", "d"],
      ]),
    },
    { serviceAccount: { namespace: "foo", name: "bar" } },
  ];
  switch (random.below(3)) {
    case 0: {
      const template = random.pick(TEMPLATES);
      return { predicate: { path: { template } }, pattern: { kind: "template", text: template } };
    }
    case 1:
      return { predicate: { host: match }, pattern: patternOf(match, true) };
    default: {
      const predicate = random.pick(peers);
      return { predicate, pattern: peerPatternOf(predicate) as Pattern };
    }
  }
}

function asciiOf(match: StringMatch): StringMatch {
  return JSON.parse(JSON.stringify(match).replaceAll("é", "e")) as StringMatch;
}

function holds(predicate: Predicate, value: string): boolean {
  const headers: [string, string][] = [
    [":path", value],
    [":authority", value],
  ];
  return predicateHolds(predicate, { headers, peerNames: [value] }, undefined);
}

describe("patterns", () => {
  test("a text is in the class of the patterns that match it, and each class has a text", () => {
    const random = new Random(5);
    for (let round = 0; round < 150; round++) {
      const all = random.list(1, 5, () => compared(random));
      const patterns = all.map(({ pattern }) => pattern);
      const classes = textClasses(patterns, { kind: "name" });
      const keys = new Map(classes.map((one) => [one.patterns.join(), one.example]));
      const matched = (value: string) =>
        all.flatMap(({ predicate }, i) => (holds(predicate, value) ? [i] : [])).join();
      for (const [key, example] of keys) {
        // A query ends a path for the oracle, and no predicate here is about one.
        if (!/[?#]/.test(example)) expect(matched(example), JSON.stringify([patterns, example])).toBe(key);
      }
      for (let i = 0; i < 40; i++) {
        const value = wireText(text(random));
        expect([...keys.keys()], JSON.stringify([patterns, value])).toContain(matched(value));
      }
    }
  });

  test("bytes that are not UTF-8 are never matched by a star", () => {
    const glob: Pattern = { kind: "glob", pieces: ["", "a", ""] };
    const classes = textClasses([{ kind: "nonEmpty" }, glob, { kind: "exact", text: "a\xff" }], {
      kind: "name",
    });
    expect(classes.map(({ patterns, example }) => [patterns.join(), example])).toEqual([
      ["", ""],
      ["0,1", "a"],
      ["0", "b"],
      ["2", "a\xff"],
    ]);
  });

  test("an element of a list with spaces", () => {
    const of: Pattern = { kind: "exact", text: "read" };
    const classes = textClasses([of, { kind: "element", of }], { kind: "claim" });
    expect(classes.map(({ patterns, example }) => [patterns.join(), example])).toEqual([
      ["", ""],
      ["0,1", "read"],
      ["1", "read "],
    ]);
  });

  test("audiences are compared without scheme and slash", () => {
    const classes = textClasses(
      [
        { kind: "audience", of: ["https://svc/"] },
        { kind: "exact", text: "http://svc/" },
      ],
      { kind: "claim" },
    );
    expect(classes.map(({ patterns, example }) => [patterns.join(), example])).toEqual([
      ["", ""],
      ["0", "svc"],
      ["0,1", "http://svc/"],
    ]);
  });
});

describe("addresses", () => {
  test("every edge of a network has an address on each side", () => {
    const classes = addressClasses(
      [{ network: "10.0.0.0/8" }, { network: "10.0.0.0/9" }, { network: "::/1" }],
      "127.0.0.1",
    );
    expect(classes.map(({ patterns, example }) => [patterns.join(), example])).toEqual(
      [
        ["", "127.0.0.1"],
        ["2", "2001:db8::1"],
        ["0,1", "10.0.0.1"],
        ["0", "10.255.255.255"],
        ["", "8000::"],
      ].filter(([key], i, all) => all.findIndex(([other]) => other === key) === i),
    );
  });
});

const MODES: PathNormalization[] = ["BASE", "NONE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"];

describe("paths", () => {
  const PARTS = [
    "/",
    "//",
    "a",
    ".",
    "..",
    "%2e",
    "%2F",
    "%2f",
    "%5c",
    "\\",
    "%41",
    "%4%31",
    "%",
    "%zz",
    "{",
    "[",
    "*",
    ";x=1",
    "%00",
    "%0%30",
    "|",
    "~",
  ];

  test.each(MODES)(
    "with %s: what normalization leaves can arrive, and what can arrive does",
    (normalization) => {
      const random = new Random(3);
      const domain: Domain = { kind: "path", normalization };
      const seen = { arrived: 0, refused: 0, never: 0 };
      for (let round = 0; round < 4000; round++) {
        const target = `/${random.list(0, 6, () => random.pick(PARTS)).join("")}`;
        const path = normalizePath(target, normalization);
        if (path === undefined) seen.refused++;
        else expect(canArrive(path, domain), `${target} → ${path}`).toBe(true);
        // The target itself, taken for a path, arrives or does not.
        if (!canArrive(target, domain)) seen.never++;
        else {
          seen.arrived++;
          expect(normalizePath(targetOf(target, normalization), normalization), target).toBe(target);
        }
      }
      expect(seen.arrived).toBeGreaterThan(200);
      if (normalization !== "NONE") expect(seen.never).toBeGreaterThan(200);
    },
  );
});

describe("authentication", () => {
  test("the module refuses and accepts the tokens of a scenario as predicted", async () => {
    const seen = { refused: 0, reached: 0, verified: 0 };
    for (let seed = 0; seed < 60; seed++) {
      const random = new Random(1000 + seed);
      const sides = [compiled(policies(random)), compiled(policies(random))].flatMap(
        (one) => one?.configuration ?? [],
      );
      const [old, fresh] = sides;
      if (old?.providers === undefined || fresh?.providers === undefined) continue;
      const maker = new WitnessMaker(MODULE, sides, "BASE");
      const { all } = scenariosOf(sides);
      for (const scenario of random.times(12, () => random.pick(all))) {
        const examples = audienceExamples(scenario);
        const [witness] = examples ? await maker.make(scenario, examples) : [];
        if (witness === undefined) continue;
        for (const [side, view] of scenario.views.entries()) {
          const reply = await maker.send(side, witness);
          const isPolicy = reply.body.startsWith("RBAC") || reply.passed === true;
          const body = isPolicy ? VERIFIED : reply.body;
          const shown = JSON.stringify([seed, scenario.tokens, sides[side]?.providers]);
          expect(body, shown).toBe(view.refusal);
          if (!isPolicy) expect(reply.status, shown).toBe(statusCodeOf(view.refusal));
          const principal = reply.outcome.properties["jwtgate.principal"];
          if (isPolicy && view.claims === undefined) expect(principal ?? "", shown).toBe("");
          seen[isPolicy ? "reached" : "refused"]++;
          if (view.claims) seen.verified++;
        }
      }
    }
    expect(seen.refused).toBeGreaterThan(100);
    expect(seen.verified).toBeGreaterThan(100);
  });
});

/** An `aud` for each token of a scenario; undefined if a token cannot exist. */
function audienceExamples({ tokens }: Scenario): Map<string, string[]> | undefined {
  const examples = new Map<string, string[]>();
  for (const { slot, token } of tokens) {
    const aud = [[], ["svc"], ["other"], ["svc", "other"]].find((list) =>
      token.audiences.every(({ of, isOne }) => of.some((one) => list.includes(one)) === isOne),
    );
    if (aud === undefined) return undefined;
    examples.set(claimSubject(slot, ["aud"]), aud);
  }
  return examples;
}
