/** Reads the repository's Markdown: its links, its headings, its fenced blocks. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { slug } from "github-slugger";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const FOLDERS = ["docs", "envoy", "bench", "tests"];

/** Paths of all Markdown files, relative to the root. */
export function markdownFiles(): string[] {
  const nested = FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }).map((entry) =>
      relative(ROOT, join(entry.parentPath, entry.name)),
    ),
  );
  return [...readdirSync(ROOT), ...nested].filter((path) => path.endsWith(".md")).sort();
}

export function readMarkdown(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** A fenced block: the text after the fence, the line of the fence from 1, and the text inside. */
export interface Block {
  info: string;
  line: number;
  text: string;
}

export function blocks(markdown: string): Block[] {
  const found: Block[] = [];
  let open: Block | undefined;
  for (const [index, line] of markdown.split("\n").entries()) {
    if (open === undefined) {
      const fence = /^```(.*)$/.exec(line);
      if (fence) open = { info: fence[1]?.trim() ?? "", line: index + 1, text: "" };
    } else if (line === "```") {
      found.push(open);
      open = undefined;
    } else {
      open.text += `${line}\n`;
    }
  }
  return found;
}

/** Links to places in the repository, outside of code. */
export function links(markdown: string): string[] {
  const prose = markdown.replace(/^```.*\n[\s\S]*?^```$/gm, "").replace(/`[^`\n]*`/g, "`");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target ?? "")
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The names under which headings can be linked to, as GitHub makes them. */
export function anchors(markdown: string): string[] {
  const headings = [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => slug(heading));
  const marks = [...markdown.matchAll(/<a id="([^"]+)">/g)].map(([, id = ""]) => id);
  return [...headings, ...marks];
}
