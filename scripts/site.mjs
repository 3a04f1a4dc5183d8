#!/usr/bin/env node
/**
 * Builds the site: the README, the docs and the console, as files that any web server can host.
 *
 *   npm run docs:site [-- --output FOLDER] [--base /PATH/]
 *
 *   --output   where the site goes; emptied before (default: site)
 *   --base     the path that it will be served at (default: /)
 *
 * The pages are the repository's Markdown, at the same paths. Files that they link to come along. VitePress fails at a link that
 * leads nowhere.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, normalize, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "vitepress";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { values: options } = parseArgs({
  options: { output: { type: "string", default: "site" }, base: { type: "string", default: "/" } },
});

/** Where the pages are put together: within the repository, so that VitePress's packages are found. */
const STAGE = "build/site";
const PUBLIC = join(STAGE, "public");

rmSync(STAGE, { recursive: true, force: true });
const pages = [
  ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "envoy/README.md"],
  ...readdirSync("docs", { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .map((path) => join("docs", path)),
];
for (const page of pages) write(join(STAGE, indexed(page)), stage(page));
for (const file of readdirSync("docs")) {
  if (/\.(svg|png)$/.test(file)) copy(join("docs", file), join(STAGE, "docs", file));
}
cpSync("scripts/site", join(STAGE, ".vitepress"), { recursive: true });
write(join(STAGE, ".vitepress/sidebar.json"), JSON.stringify(sidebar()));
cpSync("dist/console", join(PUBLIC, "console"), { recursive: true });
const outDir = resolve(options.output);
await build(STAGE, { outDir, base: options.base, logLevel: "warn" });
console.log(`${pages.length} pages in ${options.output}`);

/** A page as VitePress takes it: links to files that are not pages lead to copies of them. */
function stage(page) {
  // VitePress has no colours for queries of Prometheus.
  const text = readFileSync(page, "utf8")
    .replaceAll(/^```promql$/gm, "```txt")
    // Without a dot, Vite takes a path for a package.
    .replaceAll(/\b(src|srcset)="(?![a-z]+:|[./])/g, '$1="./');
  // Code in backticks and in fences stays as it is.
  return text.replace(
    /^```[\s\S]*?^```$|`[^`\n]*`|\]\(([^)#\s]+)(#[^)\s]*)?\)/gm,
    (match, path, anchor = "") => {
      if (path === undefined || /^[a-z]+:/.test(path)) return match;
      const target = normalize(join(dirname(page), path.endsWith("/") ? `${path}README.md` : path));
      if (pages.includes(target)) return `](${relativeTo(page, indexed(target))}${anchor})`;
      if (!existsSync(target)) throw new Error(`${page}: ${path} does not exist`);
      if (/\.(svg|png)$/.test(target)) return match;
      if (statSync(target).isDirectory())
        throw new Error(`${page}: ${path} is a folder: link to a file in it`);
      copy(target, join(PUBLIC, "files", `${target}.txt`));
      return `](${options.base}files/${target}.txt)`;
    },
  );
}

/** A folder's README is its first page. */
function indexed(page) {
  return page.replace(/(^|\/)README\.md$/, "$1index.md");
}

function relativeTo(page, target) {
  const path = relative(dirname(page), target);
  return path.startsWith(".") ? path : `./${path}`;
}

/** The sections and pages of the docs' index, which is the one list of them. */
function sidebar() {
  return readFileSync("docs/README.md", "utf8")
    .split(/^## /m)
    .slice(1)
    .map((section) => ({
      text: section.slice(0, section.indexOf("\n")),
      items: [...section.matchAll(/^\| \[([^\]]+)\]\(([^)]+)\)/gm)].map(([, text, path]) => ({
        text,
        link: `/${indexed(join("docs", path)).replace(/(index)?\.md$/, "")}`,
      })),
    }));
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
}
