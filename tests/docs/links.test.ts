/** Every link between files of the repository leads somewhere. */
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";
import { anchors, links, markdownFiles, ROOT, readMarkdown } from "./markdown.ts";

test.each(markdownFiles())("the links of %s", (file) => {
  const broken = links(readMarkdown(file)).filter((link) => {
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? file : normalize(join(dirname(file), path));
    if (!existsSync(join(ROOT, target))) return true;
    return anchor !== undefined && !anchors(readMarkdown(target)).includes(anchor);
  });
  expect(broken).toEqual([]);
});

test("the index leads to every page of docs/", () => {
  const pages = markdownFiles().filter((file) => /^docs\/(?!README|decisions\/0)/.test(file));
  const linked = links(readMarkdown("docs/README.md")).map((link) => normalize(join("docs", link)));
  expect(pages.filter((page) => !linked.includes(page))).toEqual([]);
});

test("this check reads links and headings", () => {
  expect(links("[a](b.md#c) `[no](x)` [web](https://example.com)\n```\n[no](y)\n```\n[d](#e)")).toEqual([
    "b.md#c",
    "#e",
  ]);
  expect(anchors("# The `filter's` configuration\n## 1. What it is\n")).toEqual([
    "the-filters-configuration",
    "1-what-it-is",
  ]);
});
