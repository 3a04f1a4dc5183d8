/**
 * Checks the directions of imports, so that each room (folder or file) can be read with only the rooms below
 * it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { TARGETS } from "../../tools/targets/index.ts";
import {
  findCycle,
  globalsOf,
  importedNames,
  type Rooms,
  readSources,
  readTree,
  roomOf,
  treeOf,
  unused,
  upward,
  violations,
} from "./imports.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * `memory` imports nothing. `encoding` and `crypto` do not depend on HTTP, `http` and `authz` do not depend
 * on JWS, and `authn` does not depend on policies. Loaders read with `document`, and `config` lists the
 * fields. `crypto` uses the host only for `verify_signature`.
 */
const ASSEMBLY: Rooms = {
  memory: [],
  abi: ["memory"],
  metrics: ["memory", "abi"],
  encoding: ["memory"],
  trace: ["memory", "abi", "encoding"],
  document: ["memory", "encoding"],
  config: ["encoding", "document"],
  crypto: ["memory", "abi", "encoding"],
  http: ["memory", "abi", "metrics", "encoding", "trace"],
  jose: ["memory", "encoding", "trace", "crypto"],
  authz: ["memory", "encoding", "trace", "document", "config", "http"],
  authn: ["memory", "abi", "metrics", "encoding", "trace", "document", "config", "crypto", "http", "jose"],
  plugin: ["memory", "abi", "metrics", "authz", "authn"],
  configuration: [
    "memory",
    "abi",
    "metrics",
    "encoding",
    "document",
    "config",
    "crypto",
    "authz",
    "authn",
    "plugin",
  ],
  answer: ["memory", "abi", "encoding", "http", "jose"],
  report: ["memory", "abi", "metrics", "encoding", "http", "authz", "authn", "plugin"],
  stream: ["memory", "abi", "trace", "http", "jose", "authz", "authn", "plugin", "answer", "report"],
  waiting: ["abi", "authn", "plugin", "answer", "stream"],
  index: ["memory", "abi", "configuration", "plugin", "answer", "waiting"],
};

/** `lib` replaces files of AssemblyScript's own library; it has no row of its own. */
const assembly = readTree(join(root, "assembly"), ["lib", "__tests__"]);

/**
 * `host` does not depend on policies; its helpers for bytes are below everything. The compiler does not
 * depend on outputs.
 */
const TOOLS: Rooms = {
  diagnostics: [],
  package: [],
  version: [],
  "host/bytes": [],
  encoding: ["host/bytes"],
  config: [],
  upgrades: [],
  "istio/duration": [],
  time: ["istio/duration"],
  host: ["host/bytes", "encoding", "upgrades"],
  "host/node": ["host"],
  files: [],
  oci: ["files"],
  envoy: [],
  jwks: ["diagnostics", "host/bytes", "encoding", "config"],
  "jwks/convert": ["host/bytes", "encoding", "jwks"],
  "jwks/discovery": ["jwks"],
  istio: ["diagnostics", "host/bytes", "encoding", "config", "istio/duration", "jwks"],
  compile: ["diagnostics", "config", "jwks", "istio"],
  render: ["diagnostics", "host/bytes", "encoding", "config", "jwks", "istio", "upgrades"],
  values: ["encoding", "time", "render"],
  targets: ["version", "diagnostics", "config", "jwks", "istio", "compile", "render", "values"],
  github: ["diagnostics"],
  excerpts: ["diagnostics", "istio", "compile"],
  demo: ["diagnostics", "package", "envoy", "jwks", "compile", "render"],
  explain: [
    "diagnostics",
    "host/bytes",
    "encoding",
    "config",
    "host",
    "upgrades",
    "jwks",
    "istio",
    "compile",
  ],
  modules: ["package", "host/node", "explain"],
  import: ["diagnostics", "istio", "compile", "render"],
  token: ["host", "host/bytes", "config", "jwks", "explain"],
  "token/documents": ["host", "host/bytes", "config", "jwks/discovery", "explain"],
  shell: ["diagnostics"],
  prove: [
    ...[
      "diagnostics",
      "host/bytes",
      "encoding",
      "config",
      "github",
      "host",
      "jwks",
      "compile",
      "explain",
      "token",
    ],
  ],
  check: [
    ...[
      "diagnostics",
      "version",
      "github",
      "host/bytes",
      "jwks",
      "istio",
      "compile",
      "excerpts",
      "prove",
      "config",
    ],
  ],
  wizard: ["diagnostics", "shell", "host/bytes", "jwks", "istio", "render", "values", "check", "token"],
  run: ["diagnostics", "config", "envoy", "compile", "render"],
  testing: [
    ...["diagnostics", "host/bytes", "encoding", "config", "time", "host", "jwks", "istio", "compile"],
    ...["render", "explain", "token", "github", "prove", "excerpts"],
  ],
  "testing/envoy": ["host", "envoy", "render", "explain", "testing"],
  console: ["host/bytes", "config", "jwks/discovery", "compile", "explain", "token/documents"],
  "console/server": ["encoding", "host/bytes", "console"],
  commands: [
    ...["console", "console/server"],
    ...[
      "diagnostics",
      "shell",
      "package",
      "modules",
      "files",
      "host/bytes",
      "config",
      "host/node",
      "oci",
      "envoy",
      "jwks",
      "jwks/convert",
    ],
    ...[
      "jwks/discovery",
      "istio",
      "compile",
      "render",
      "demo",
      "explain",
      "check",
      "wizard",
      "import",
      "token",
    ],
    ...["token/documents", "run", "testing", "testing/envoy", "values", "targets", "version"],
    ...["excerpts", "prove"],
  ],
  core: [
    "diagnostics",
    "config",
    "host",
    "compile",
    "targets",
    "version",
    "explain",
    "check",
    "token",
    "testing",
  ],
  lib: ["package", "host/node", "modules", "core"],
  cli: ["diagnostics", "version", "commands"],
};

/**
 * The console's rooms. Its views use the engine only through its client and types; only the worker contains
 * the tools' code.
 */
const CONSOLE: Rooms = {
  tools: [],
  "console/engine": ["tools"],
  "console/shell/view": [],
  "console/shell/theme": [],
  "console/playground/draft": ["tools"],
  "console/playground/content": ["console/engine", "console/shell/view", "console/playground/draft"],
  "console/parts": [],
  "console/links": ["console/parts", "console/playground/content"],
  "console/playground": [
    ...["tools", "console/engine", "console/shell/view", "console/links"],
    ...["console/playground/draft", "console/playground/content"],
  ],
  "console/wizard": [
    "tools",
    "console/engine",
    "console/parts",
    "console/playground",
    "console/playground/draft",
  ],
  "console/shell": [
    "console/engine",
    "console/shell/view",
    "console/shell/theme",
    "console/links",
    "console/wizard",
    "console/playground",
    "console/playground/content",
  ],
  "console/main": [
    "console/engine",
    "console/links",
    "console/shell/view",
    "console/wizard",
    "console/playground",
    "console/shell",
  ],
};

/** Rooms that run only in Node: they import its modules, or use `process`. All others run anywhere. */
const NODE = [
  ...["package", "host/node", "modules", "files", "oci", "envoy", "jwks/convert", "jwks/discovery", "demo"],
  ...["run", "testing/envoy", "console/server", "commands", "cli"],
];
/** Those of them that use `Buffer`. */
const BUFFER = [
  ...[
    "host/node",
    "oci",
    "envoy",
    "jwks/convert",
    "jwks/discovery",
    "testing/envoy",
    "console/server",
    "commands",
  ],
];

const tools = readTree(join(root, "tools"));
const page = treeOf(
  new Map(
    ["tools", "console"].flatMap((folder) =>
      [...readSources(join(root, folder))].map(([file, text]) => [`${folder}/${file}`, text] as const),
    ),
  ),
);

for (const [name, tree, rooms] of [
  ["assembly", assembly, ASSEMBLY],
  ["tools", tools, TOOLS],
  ["console", page, CONSOLE],
] as const) {
  describe(name, () => {
    test("has files", () => expect(tree.files).not.toEqual([]));
    test("resolves every import", () => expect(tree.unresolved).toEqual([]));
    test("imports only what the table allows", () => expect(violations(tree, rooms)).toEqual([]));
    test("uses every permission of the table", () => expect(unused(tree, rooms)).toEqual([]));
    test("has a table without a cycle", () => expect(upward(rooms)).toEqual([]));
    test("has no cycle of files", () => expect(findCycle(tree)).toBeUndefined());
  });
}

describe("tools and outputs of compile", () => {
  test("only targets asks which output it is", () => {
    const asks = new RegExp(
      `[!=]== "(${[...TARGETS.keys()].join("|")})"|\\bcase "(${[...TARGETS.keys()].join("|")})"`,
    );
    const askers = tools.files.filter((file) => asks.test(readFileSync(join(root, "tools", file), "utf8")));
    expect(askers.filter((file) => !file.startsWith("targets/"))).toEqual([]);
  });
});

describe("tools and other programs", () => {
  test("one file starts them, and lists them", () => {
    const starters = tools.files.filter((file) => tools.external.get(file)?.includes("node:child_process"));
    expect(starters).toEqual(["envoy/programs.ts"]);
    // The files that ask that file to start one: a new one belongs in its table.
    const callers = tools.files.filter((file) =>
      /\b(startProgram|runProgram)\(/.test(readFileSync(join(root, "tools", file), "utf8")),
    );
    expect(callers).toEqual([
      "commands/cluster.ts",
      "commands/revision.ts",
      "envoy/process.ts",
      "envoy/programs.ts",
      "envoy/provision.ts",
    ]);
  });
});

describe("tools and Node", () => {
  const roomsOf = (files: string[]) => new Set(files.map((file) => roomOf(file, TOOLS)));

  test("the rooms that need Node are those of the table", () => {
    const found = tools.files.filter(
      (file) =>
        tools.external.get(file)?.some((name) => name.startsWith("node:")) ||
        globalsOf(sourceOf(file), NODE_GLOBALS).length > 0,
    );
    expect(roomsOf(found)).toEqual(new Set(NODE));
  });

  test("the rooms that use Buffer are those of the table", () => {
    const found = tools.files.filter((file) => globalsOf(sourceOf(file), ["Buffer"]).length > 0);
    expect(roomsOf(found)).toEqual(new Set(BUFFER));
  });

  test("one file lists the algorithms", () => {
    const name = /(["'])(?:(?:RS|PS|ES|HS)(?:256|384|512)|EdDSA)\1/;
    // Examples in docstrings may name one.
    const code = (file: string) => sourceOf(file).replaceAll(/\/\*[\s\S]*?\*\//g, "");
    expect(tools.files.filter((file) => name.test(code(file)))).toEqual(["jwks/algorithms.ts"]);
  });
});

/** Names that only Node has, or that bundlers make of it. */
const NODE_GLOBALS = ["process", "global", "require", "__dirname", "__filename", "setImmediate"];

function sourceOf(file: string): string {
  return readFileSync(join(root, "tools", file), "utf8");
}

describe("console", () => {
  const files = page.files.filter((file) => file.startsWith("console/"));

  test("uses nothing of Node, directly or through its imports", () => {
    const seen = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      page.internal.get(file)?.forEach(visit);
    };
    for (const file of files) visit(file);
    const external = [...seen].flatMap((file) => page.external.get(file) ?? []);
    expect(external.filter((name) => name.startsWith("node:"))).toEqual([]);
  });

  test("never turns text into HTML, and prints nothing", () => {
    const forbidden = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|console\.\w+\(/i;
    const found = files.filter((file) => forbidden.test(readFileSync(join(root, file), "utf8")));
    expect(found).toEqual([]);
  });
});

describe("assembly and its host", () => {
  test("only abi names the raw host imports", () => {
    const outside = assembly.files.filter((file) => roomOf(file, ASSEMBLY) !== "abi");
    expect(outside.flatMap((file) => assembly.external.get(file) ?? [])).toEqual([]);
    expect(outside.filter((file) => /@external\b|\bdeclare\b/.test(code(file)))).toEqual([]);
  });

  test("only memory, abi, encoding, crypto and the token cache touch raw memory", () => {
    // The cache packs tokens of all lengths into two rings of bytes.
    const cache = ["authn/token-cache.ts", "authn/verified-token.ts"];
    const rooms = ["memory", "abi", "encoding", "crypto"];
    const outside = assembly.files.filter((file) => !rooms.includes(roomOf(file, ASSEMBLY)));
    const raw = /\b(?:load|store)(?:\d+\w*)?<|\bmemory\.|\bchangetype\b|\bheap\./;
    expect(outside.filter((file) => raw.test(code(file)))).toEqual(cache);
  });

  test("nothing traps on purpose except AssemblyScript's own abort", () => {
    const traps = assembly.files.filter((file) => /\b(?:throw|assert|unreachable)\b/.test(code(file)));
    expect(traps).toEqual(["abi/abort.ts"]);
  });
});

describe("tools show what the module did, and decide nothing", () => {
  /** Files that generate keys, hash, or import keys, and Envoy's own foreign function. */
  const CRYPTOGRAPHY: Record<string, string[]> = {
    "commands/pem-files.ts": ["KeyObject", "X509Certificate", "createPrivateKey"],
    "envoy/provision.ts": ["createHash"],
    "files.ts": ["randomBytes"],
    "host/node.ts": ["KeyObject", "createPublicKey", "verify"],
    "jwks/convert.ts": ["JsonWebKey", "KeyObject", "X509Certificate", "createPrivateKey", "createPublicKey"],
    "oci/image.ts": ["createHash"],
  };

  test("only the module and Envoy's foreign function verify signatures", () => {
    const found = Object.fromEntries(
      tools.files
        .map((file) => [file, importedNames(sourceOf(file), "node:crypto")] as const)
        .filter(([, names]) => names.length > 0),
    );
    expect(found).toEqual(CRYPTOGRAPHY);
    const verifies = /\.verify\(|\b(?:jwt|compact|flattened|general)Verify\b/;
    expect(tools.files.filter((file) => verifies.test(sourceOf(file)))).toEqual(["host/web.ts"]);
  });

  test("the explainer evaluates no conditions, does not need Node, and takes each verdict from the trace", () => {
    const explaining = tools.files.filter((file) => file.startsWith("explain/"));
    expect(explaining.length).toBeGreaterThan(5);
    for (const file of explaining) {
      expect(tools.external.get(file), file).toEqual([]);
      const text = sourceOf(file);
      // The compiled form of a rule: a file that reads it evaluates it.
      expect(/\.(condition|guard|localJwks)\b|\.match\b(?!\()/.test(text), file).toBe(false);
      // How values are compared with patterns (StringMatch, CIDR blocks, templates).
      expect(/\b(exact|prefix|suffix|nonEmpty|template)" in\b/.test(text), file).toBe(false);
    }
    expect(sourceOf("explain/rules.ts")).toContain("this.traced.held.has(number)");
  });
});

/** The text of a file of the filter without its comments and strings. */
function code(file: string): string {
  const text = readFileSync(join(root, "assembly", file), "utf8");
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g,
    (match) => (match.startsWith("/") ? " " : '""'),
  );
}

describe("this check", () => {
  const tree = (sources: Record<string, string>) => treeOf(new Map(Object.entries(sources)));

  test("finds an import against the table, a file in no room, and a package", () => {
    const wrong = tree({
      "low/a.ts": 'import { b } from "../high/b";\nimport "package";',
      "high/b.ts": "@inline export function b(): void {}",
      "c.ts": "",
    });
    expect(violations(wrong, { low: [], high: ["low"] })).toEqual([
      "c.ts: is in no room of the table",
      "low/a.ts: must not import high/b.ts",
    ]);
    expect(wrong.external.get("low/a.ts")).toEqual(["package"]);
  });

  test("finds a cycle of files, re-exports included", () => {
    const circle = tree({
      "a.ts": 'export * from "./b";',
      "b.ts": 'export { c } from "./c";',
      "c.ts": 'import "./b";',
    });
    expect(findCycle(circle)).toEqual(["b.ts", "c.ts", "b.ts"]);
  });

  test("finds the names that are imported from a package", () => {
    const text = 'import a, { b as c, type D } from "p";\nimport { e } from "q";\nimport * as f from "p";';
    expect(importedNames(text, "p")).toEqual(["*", "D", "b", "default"]);
  });

  test("finds a global, but no property or type of that name", () => {
    const text =
      "a.Buffer; const c = { Buffer: 1 }; `${Buffer.from(a)}`; class D { process() {} }\n// process";
    expect(globalsOf(text, ["Buffer", "process"])).toEqual(["Buffer"]);
  });

  test("finds an import of a missing file", () => {
    expect(tree({ "a.ts": 'import "./gone";' }).unresolved).toEqual(["a.ts: ./gone"]);
  });

  test("finds a permission that no import uses", () => {
    const two = tree({
      "low/a.ts": "",
      "high/b.ts": 'import "../low/a";',
      "top/c.ts": 'import "../high/b";',
    });
    expect(unused(two, { low: [], high: ["low"], top: ["low", "high"] })).toEqual(["top -> low"]);
  });

  test("finds a table that points upwards", () => {
    expect(upward({ low: ["high"], high: ["low"] })).toEqual(["low -> high"]);
  });
});
