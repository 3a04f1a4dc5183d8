/** `jwtgate diff` as a user runs it; what it finds is in tests/prove. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());
const run = (...args: string[]) => workspace.run(["diff", ...args], { env: { NO_COLOR: "1" } });
const write = (name: string, content: string) => writeFileSync(workspace.path(name), content);

const policy = (rules: string, action = "ALLOW") => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: shop, namespace: shop}
spec:
  action: ${action}
  rules:
  - ${rules}
`;

beforeAll(() => {
  write("narrow.yaml", policy('to: [{operation: {paths: ["/a/*"]}}]'));
  write("wide.yaml", policy('to: [{operation: {paths: ["/a*"]}}]'));
  write("twice.yaml", policy('to: [{operation: {paths: ["/a/*", "/a/b"]}}]'));
  write("other.yaml", policy('to: [{operation: {paths: ["/a"]}}]').replaceAll("shop", "other"));
  write("undecided.yaml", policy('when: [{key: "request.headers[:path]", values: ["/a*"]}]'));
});

test("a difference is a request, both answers and the lines that decided", () => {
  const { status, stdout, stderr } = run("--old", "narrow.yaml", "--new", "wide.yaml");
  expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
  expect(stdout).toBe(`opened: GET /a of localhost
  without a token
  old: 403 RBAC: access denied (no ALLOW rule matches)
  new: passes (shop/shop, rule 0, wide.yaml:7:5)

1 opened
`);
});

test("policies with the same answers are equal", () => {
  const { status, stdout, stderr } = run("--old", "narrow.yaml", "--new", "twice.yaml");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^equal: every request gets the same answer \(\d+ cases\)\n$/);
});

test.each([
  ["opened", "narrow.yaml", "wide.yaml", 1],
  ["opened", "wide.yaml", "narrow.yaml", 0],
  ["closed", "wide.yaml", "narrow.yaml", 1],
  ["closed", "narrow.yaml", "wide.yaml", 1],
  ["any", "narrow.yaml", "twice.yaml", 0],
  ["opened", "narrow.yaml", "undecided.yaml", 1],
])("--fail-on %s from %s to %s ends with %i", (failOn, old, fresh, status) => {
  expect(run("--old", old, "--new", fresh, "--fail-on", failOn).status).toBe(status);
});

test("undecided comparisons are printed", () => {
  const { status, stdout } = run("--old", "narrow.yaml", "--new", "undecided.yaml");
  expect(status).toBe(1);
  expect(stdout).toBe(
    "not decided: request.headers[:path] compares path and query together: use paths\nno difference was found, and 1 not decided\n",
  );
});

test("JSON has each class", () => {
  const { status, stdout } = run("--old", "narrow.yaml", "--new", "wide.yaml", "--format", "json");
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    equal: false,
    opened: [
      {
        request: {
          method: "GET",
          host: "localhost",
          path: "/a",
          headers: [],
          peer: "127.0.0.1",
          protocol: "HTTP/1.1",
          listener: { mode: "gateway", address: "127.0.0.1", port: 8080 },
        },
        token: null,
        old: { status: 403, body: "RBAC: access denied", rule: null, position: null },
        new: {
          status: 200,
          body: "",
          rule: "ns[shop]-policy[shop]-rule[0]",
          position: { file: "wide.yaml", line: 7, column: 5, at: "wide.yaml:7:5" },
        },
      },
    ],
    closed: [],
    changed: [],
    forwarded: [],
    undecided: [],
    mayHaveMore: false,
    cases: expect.any(Number),
  });
});

test("GitHub shows an annotation at the deciding line", () => {
  const { stdout } = run("--old", "narrow.yaml", "--new", "wide.yaml", "--format", "github");
  expect(stdout).toBe(
    "::error file=wide.yaml,line=7,col=5,title=opened%3A GET /a of localhost::without a token%0Aold: 403 RBAC: access denied (no ALLOW rule matches)%0Anew: passes (shop/shop, rule 0, wide.yaml:7:5)\n",
  );
});

test("a command line without one of the two sides is wrong", () => {
  expect(run("--old", "narrow.yaml")).toEqual({
    status: 2,
    stdout: "",
    stderr: "error: required option '--new <path...>' not specified\n",
  });
});

test("policies that do not compile", () => {
  write("broken.yaml", policy("to: [{operation: {pahts: [/a]}}]"));
  const { status, stdout, stderr } = run("--old", "narrow.yaml", "--new", "broken.yaml");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toContain("broken.yaml:7:");
});

test("workloads are chosen as in other commands", () => {
  const other = policy('to: [{operation: {paths: ["/other"]}}]').replaceAll("shop", "other");
  write("both.yaml", `${readFileSync(workspace.path("narrow.yaml"), "utf8")}---\n${other}`);
  const args = ["--old", "narrow.yaml", "--new", "both.yaml"];
  expect(run(...args).status).toBe(1);
  expect(run(...args, "--namespace", "shop").status).toBe(0);
});

const WITHOUT = (side: string) =>
  `warning: ${side} has no policy: it counts as policies that let everything through\n`;

describe("a side without policies lets everything through", () => {
  beforeAll(() => {
    mkdirSync(workspace.path("empty"));
    write("comment.yaml", "# nothing yet\n");
    write("service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n");
  });

  test("an empty folder, to which a first policy comes", () => {
    const { status, stdout, stderr } = run("--old", "empty", "--new", "narrow.yaml");
    expect({ status, stderr }).toEqual({ status: 1, stderr: WITHOUT("--old empty") });
    expect(stdout).toBe(`closed: GET / of localhost
  without a token
  old: passes (no rule refuses it)
  new: 403 RBAC: access denied (no ALLOW rule matches)

1 closed
`);
    expect(run("--old", "empty", "--new", "narrow.yaml", "--fail-on", "opened").status).toBe(0);
  });

  test("a folder whose last policy goes", () => {
    const { status, stdout, stderr } = run("--old", "narrow.yaml", "--new", "empty", "--fail-on", "opened");
    expect({ status, stderr }).toEqual({ status: 1, stderr: WITHOUT("--new empty") });
    expect(stdout).toContain("1 opened");
  });

  test.each(["comment.yaml", "service.yaml"])("a file without a policy, %s", (file) => {
    const { status, stderr } = run("--old", file, "--new", "narrow.yaml");
    expect(status).toBe(1);
    expect(stderr).toContain(`${file}: warning: there is no policy here\n`);
    expect(stderr).toContain(WITHOUT(`--old ${file}`));
  });

  test("policies of which none is for the workload", () => {
    const { status, stderr } = run("--old", "other.yaml", "--new", "narrow.yaml", "--namespace", "shop");
    expect(status).toBe(1);
    expect(stderr).toBe(
      `other.yaml: warning: no policy here is for this workload\n${WITHOUT("--old other.yaml")}`,
    );
  });

  test("but not both sides, and not a name that is nowhere", () => {
    const both = run("--old", "empty", "--new", "comment.yaml");
    expect(both.status).toBe(1);
    expect(both.stderr).toMatch(
      /error: neither side has a policy for this workload: correct --old, --new, .*\n$/,
    );
    expect(run("--old", "narrow.yaml", "--new", "narrow.yaml", "--namespace", "typo").status).toBe(1);
    expect(run("--old", "missing", "--new", "narrow.yaml").stderr).toBe(
      "missing: there is no such file or folder\n",
    );
    expect(run("--old", "empty/*.yaml", "--new", "narrow.yaml").stderr).toContain("like this pattern");
  });
});

describe("revisions of git", () => {
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], {
      cwd: workspace.path("repository"),
      stdio: "pipe",
    });

  beforeAll(() => {
    mkdirSync(workspace.path("repository", "policies"), { recursive: true });
    git("init", "--quiet", "--initial-branch=main");
    write("repository/policies/shop.yaml", policy('to: [{operation: {paths: ["/a/*"]}}]'));
    write("repository/policies/shop.test.yaml", "policies: [shop.yaml]\ntests: []\n");
    write("repository/policies/readme.md", "no policy");
    git("add", ".");
    git("commit", "--quiet", "--message", "first");
    write("repository/policies/shop.yaml", policy('to: [{operation: {paths: ["/a*"]}}]'));
  });

  const inside = (...args: string[]) =>
    workspace.run(["diff", ...args], {
      env: { NO_COLOR: "1", GIT_DIR: workspace.path("repository", ".git") },
    });

  test.each(["main:policies/", "main:policies", "main:policies/shop.yaml", "HEAD:./policies"])(
    "%s is the committed state",
    (old) => {
      const { status, stdout, stderr } = inside("--old", old, "--new", "repository/policies");
      expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
      expect(stdout).toContain("opened: GET /a of localhost");
    },
  );

  test("positions name the revision", () => {
    const { stdout } = inside("--old", "repository/policies", "--new", "main:policies/");
    expect(stdout).toContain("old: passes (shop/shop, rule 0, repository/policies/shop.yaml:7:5)");
    expect(inside("--old", "main:policies", "--new", "main:policies").status).toBe(0);
  });

  test("a folder that a revision lacks has no policies", () => {
    const { status, stdout, stderr } = inside("--old", "main:other/", "--new", "repository/policies");
    expect({ status, stderr }).toEqual({ status: 1, stderr: WITHOUT("--old main:other/") });
    expect(stdout).toMatch(/^closed: .*old: passes/s);
  });

  test.each([["none:policies/", "error: there is no revision none here, and no file none:policies/\n"]])(
    "%s is an error",
    (old, stderr) => {
      expect(inside("--old", old, "--new", "repository/policies")).toEqual({ status: 1, stdout: "", stderr });
    },
  );
});
