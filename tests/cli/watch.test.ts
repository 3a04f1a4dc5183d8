/** Watching files: every kind of change is noticed, by the system's events and by polling. */
import { spawn } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { see, type Watched, watchFiles } from "../../tools/commands/watch.ts";
import { ROOT, TOOL } from "../support/cli.ts";

let folder: string;
let stops: (() => void)[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-watch-"));
  stops = [];
  mkdirSync(at("policies"));
  write("policies/a.yaml", "0");
});
afterEach(() => {
  for (const stop of stops) stop();
  delete process.env["CHOKIDAR_USEPOLLING"];
  rmSync(folder, { recursive: true, force: true });
});

const at = (path: string) => join(folder, path);
const write = (path: string, text: string) => writeFileSync(at(path), text);

/** Replaces the target of a link in one step, as Kubernetes does. */
function relink(path: string, target: string): void {
  symlinkSync(target, at(`${path}.new`));
  renameSync(at(`${path}.new`), at(path));
}

/** Makes changes one after the other, and waits after each until it is noticed. */
async function sees(paths: string[], actions: (() => void)[], options: Partial<Watched> = {}): Promise<void> {
  let changed = () => {};
  const next = () =>
    new Promise<void>((resolve) => {
      changed = resolve;
    });
  stops.push(watchFiles([see({ ...options, paths: paths.map(at) })], () => changed()));
  for (const action of actions) {
    const change = next();
    action();
    await change;
  }
}

/** A folder as Kubernetes mounts a ConfigMap: the file leads through `..data` into a folder that is replaced as a whole. */
function mountConfigMap(): void {
  mkdirSync(at("mounted/..1"), { recursive: true });
  write("mounted/..1/p.yaml", "1");
  symlinkSync("..1", at("mounted/..data"));
  symlinkSync("..data/p.yaml", at("mounted/p.yaml"));
}

/** Its next version; the previous one is removed. */
const update = (version: number) => () => {
  mkdirSync(at(`mounted/..${version}`));
  write(`mounted/..${version}/p.yaml`, "1");
  relink("mounted/..data", `..${version}`);
  rmSync(at(`mounted/..${version - 1}`), { recursive: true });
};

describe.each([
  ["by events", "0"],
  ["by polling", "1"],
])("%s", (_name, usePolling) => {
  beforeEach(() => {
    process.env["CHOKIDAR_USEPOLLING"] = usePolling;
  });

  // The second and third of each kind come when the watch of the first has been renewed.
  test.each(["policies", "policies/a.yaml", "policies/*.yaml"])(
    "%s: written, replaced, removed, made again",
    (path) =>
      sees(
        [path],
        [
          () => write("policies/a.yaml", "1"),
          () => write("policies/a.yaml", "two"),
          () => {
            write("policies/.a.yaml.tmp", "three");
            renameSync(at("policies/.a.yaml.tmp"), at("policies/a.yaml"));
          },
          () => write("policies/a.yaml", "four!"),
          () => rmSync(at("policies/a.yaml")),
          () => write("policies/a.yaml", "six"),
          () => write("policies/a.yaml", "seven"),
        ],
      ),
  );

  test.each(["policies", "policies/**/*.yaml"])("%s: files and folders that are added", (path) =>
    sees(
      [path],
      [
        () => write("policies/b.yaml", ""),
        () => write("policies/b.yaml", "two"),
        () => {
          mkdirSync(at("policies/c/d"), { recursive: true });
          write("policies/c/d/e.yaml", "");
        },
        () => write("policies/c/d/e.yaml", "1"),
        () => rmSync(at("policies/c"), { recursive: true }),
        () => write("policies/b.yaml", "1"),
      ],
    ),
  );

  test.each(["policies", "policies/a.yaml", "policies/*.yaml"])(
    "%s: the whole folder is removed and made again",
    (path) =>
      sees(
        [path],
        [
          () => rmSync(at("policies"), { recursive: true }),
          () => {
            mkdirSync(at("policies"));
            write("policies/a.yaml", "1");
          },
          () => write("policies/a.yaml", "two"),
        ],
      ),
  );

  test.each(["mounted", "mounted/p.yaml", "mounted/*.yaml"])("%s: a ConfigMap is updated", (path) => {
    mountConfigMap();
    return sees([path], [update(2), update(3), update(4)]);
  });

  test("if a link to a link changes, the file is written at its own path", () => {
    mkdirSync(at("links"));
    mkdirSync(at("elsewhere"));
    symlinkSync("../elsewhere/link.yaml", at("links/p.yaml"));
    symlinkSync("../policies/a.yaml", at("elsewhere/link.yaml"));
    write("policies/b.yaml", "0");
    return sees(
      ["links/p.yaml"],
      [
        () => write("policies/a.yaml", "1"),
        () => relink("elsewhere/link.yaml", "../policies/b.yaml"),
        () => write("policies/b.yaml", "two"),
      ],
    );
  });

  test("a file and its folder that do not exist yet", () =>
    sees(
      ["later/deep/p.yaml"],
      [
        () => {
          mkdirSync(at("later/deep"), { recursive: true });
          write("later/deep/p.yaml", "");
        },
        () => write("later/deep/p.yaml", "1"),
      ],
    ));
});

test("skipped and ignored folders are not watched", async () => {
  const left = ["policies/node_modules/p", "policies/.git/objects", "policies/vendor/x"];
  for (const path of left) {
    mkdirSync(at(path), { recursive: true });
    write(`${path}/p.yaml`, "");
  }
  await sees(["policies"], [() => write("policies/a.yaml", "1"), () => write("policies/a.yaml", "two")], {
    ignore: ["vendor"],
  });
  const watched = watchedInodes();
  expect(watched).toContain(statSync(at("policies")).ino);
  for (const path of left
    .flatMap((one) => [one, join(one, ".."), `${one}/p.yaml`])
    .map(at)
    .filter((path) => path !== at("policies")))
    expect(watched, path).not.toContain(statSync(path).ino);
});

/** What this process watches by inotify (proc(5), fdinfo). */
function watchedInodes(): number[] {
  return readdirSync("/proc/self/fdinfo").flatMap((descriptor) => {
    let text = "";
    try {
      text = readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8");
    } catch {
      // It was that of the folder's listing.
    }
    return [...text.matchAll(/^inotify wd:\S+ ino:([0-9a-f]+)/gm)].map(([, ino = ""]) =>
      Number.parseInt(ino, 16),
    );
  });
}

test.each<[string, () => void]>([
  ["written", () => write("policies/a.yaml", "another")],
  ["added", () => write("policies/b.yaml", "1")],
  ["removed", () => rmSync(at("policies/a.yaml"))],
])("a file that is %s while files are read and before they are watched is noticed", async (_, change) => {
  const seen = see({ paths: [at("policies")] });
  change();
  await new Promise<void>((resolve) => stops.push(watchFiles([seen], resolve)));
});

test("a program that only watches ends when it stops watching", async () => {
  await sees(["policies"], [() => write("policies/a.yaml", "1")]);
  for (const stop of stops.splice(0)) stop();
  await expect.poll(() => watchedInodes()).not.toContain(statSync(at("policies")).ino);
});

test("jwtgate test --watch sees a ConfigMap that is updated twice", async () => {
  const policies = readFileSync(join(ROOT, "envoy/istio/one-principal.yaml"), "utf8");
  mountConfigMap();
  write("mounted/..1/p.yaml", policies);
  write("p.test.yaml", "policies: [mounted/p.yaml]\ntests: [{name: a, expect: 403}]\n");
  const child = spawn(process.execPath, [TOOL, "test", "p.test.yaml", "--watch"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const closed = new Promise((resolve) => child.on("close", resolve));
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  const rounds = (wanted: number) =>
    expect.poll(() => stdout.match(/^.*\d+ passed.*$/gm) ?? [], { timeout: 100_000 }).toHaveLength(wanted);
  try {
    await rounds(1);
    for (const version of [2, 3]) {
      mkdirSync(at(`mounted/..${version}`));
      const isOpen = version === 2;
      write(
        `mounted/..${version}/p.yaml`,
        isOpen ? policies.replace("action: ALLOW", "action: AUDIT") : policies,
      );
      relink("mounted/..data", `..${version}`);
      await rounds(version);
    }
  } finally {
    child.kill("SIGTERM");
  }
  expect(await closed).toBe(0);
});
