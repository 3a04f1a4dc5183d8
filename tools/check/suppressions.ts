/**
 * Suppressions: findings that someone has reviewed and accepted, each with the reason. They are in comments, or in a
 * file.
 */
import picomatch from "picomatch";
import type { CompiledResource, SourceFile } from "../compile.ts";
import type { Diagnostic, Position } from "../diagnostics.ts";
import { Fields } from "../istio/fields.ts";
import { quote, Report } from "../istio/report.ts";
import { parseYaml, readComments, type YamlNode } from "../istio/yaml.ts";
import { type Code, type Finding, Findings, KINDS } from "./findings.ts";

/** A finding that is not reported, and why. */
export interface Suppressed extends Finding {
  because: string;
  /** Whether a comment of the source contains it; else a file does. */
  isInSource: boolean;
}

interface Suppression {
  code: Code;
  because: string;
  /** The position of the suppression itself. */
  at: Position;
  isInSource: boolean;
  matches: (finding: Finding) => boolean;
  /** Whether it is reported if it matches nothing. */
  isExpected: boolean;
}

/** Findings about suppressions themselves, which none can suppress. */
const UNUSED = "JG301";
const MALFORMED = "JG302";

/** An entry of a file of suppressions. */
export interface SuppressionEntry {
  codes: Code[];
  /** All files, if absent. */
  files: ((name: string) => boolean) | undefined;
  /** NAMESPACE/NAME each; empty for all. */
  policies: string[];
  because: string;
  at: Position;
}

/**
 * Removes the findings that comments in the sources or a file suppress.
 *
 * @param compiled all resources, those of other workloads included
 * @param isWhole whether the review covers all of them, so that an entry of a file can be called unused
 * @returns the rest, with findings about suppressions that match nothing or cannot be read
 */
export function suppress(
  findings: readonly Finding[],
  sources: readonly SourceFile[],
  compiled: readonly CompiledResource[],
  entries: readonly SuppressionEntry[],
  isWhole: boolean,
): { findings: Finding[]; suppressed: Suppressed[] } {
  const own = new Findings();
  const resources = new Resources(compiled);
  const suppressions: Suppression[] = [
    ...sources.flatMap((source) => readSuppressions(source, resources, own)),
    ...entries.flatMap((entry) =>
      entry.codes.map((code) => ({
        code,
        because: entry.because,
        at: entry.at,
        isInSource: false,
        matches: (finding: Finding) => covers(entry, finding, resources),
        isExpected: isWhole,
      })),
    ),
  ];
  const byCode = new Map<Code, Suppression[]>();
  for (const one of suppressions) byCode.set(one.code, [...(byCode.get(one.code) ?? []), one]);
  const used = new Set<Suppression>();
  const suppressed: Suppressed[] = [];
  const rest = findings.filter((finding) => {
    const matching = (byCode.get(finding.code) ?? []).filter(({ matches }) => matches(finding));
    const [first] = matching;
    if (first === undefined) return true;
    for (const one of matching) used.add(one);
    suppressed.push({ ...finding, because: first.because, isInSource: first.isInSource });
    return false;
  });
  for (const one of suppressions) {
    if (one.isExpected && !used.has(one)) {
      own.add(UNUSED, one.at, `${one.code} is suppressed here, and there is no such finding`);
    }
  }
  return { findings: [...rest, ...own.list], suppressed };
}

/** Finds the resource that contains a line. */
class Resources {
  private readonly byFile = new Map<string, CompiledResource[]>();

  constructor(compiled: readonly CompiledResource[]) {
    for (const resource of compiled) {
      const list = this.byFile.get(resource.at.file);
      if (list === undefined) this.byFile.set(resource.at.file, [resource]);
      else list.push(resource);
    }
    for (const list of this.byFile.values())
      list.sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
  }

  of(file: string): readonly CompiledResource[] {
    return this.byFile.get(file) ?? [];
  }

  at({ file, line, column }: Position): CompiledResource | undefined {
    const list = this.of(file);
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { at } = list[middle] as CompiledResource;
      if (at.line < line || (at.line === line && at.column <= column)) low = middle + 1;
      else high = middle;
    }
    return list[low - 1];
  }
}

const DIRECTIVE = /^#+\s*jwtgate:\s*(.*?)\s*$/;
const IGNORE = /^(ignore|ignore-file)\s+(\S.*?)\s+because\s+(\S.*)$/;
const HOW = "Write # jwtgate: ignore JG010 because REASON, or ignore-file for the whole file.";

/** Reads the comments of a file. A faulty one becomes a finding and suppresses nothing. */
function readSuppressions(
  { name, text }: SourceFile,
  resources: Resources,
  findings: Findings,
): Suppression[] {
  if (!text.includes("jwtgate:")) return [];
  const lines = text.split(/\r?\n/);
  const suppressions: Suppression[] = [];
  for (const { at, text: comment } of readComments(name, text)) {
    const [, directive] = DIRECTIVE.exec(comment) ?? [];
    if (directive === undefined) continue;
    const [, kind, list = "", because = ""] = IGNORE.exec(directive) ?? [];
    if (kind === undefined) {
      findings.add(MALFORMED, at, `this comment suppresses nothing: ${quote(directive)} cannot be read`, HOW);
      continue;
    }
    const isWhole = kind === "ignore-file";
    const line = isWhole ? 0 : lineOf(at, lines);
    const selected = isWhole
      ? resources.of(name).every((resource) => resource.selected)
      : resources.at({ file: name, line, column: Number.POSITIVE_INFINITY })?.selected;
    for (const word of list.split(/[\s,]+/)) {
      const fault = faultOf(word);
      if (fault !== undefined) {
        findings.add(MALFORMED, at, `this comment suppresses nothing: ${fault}`, HOW);
        continue;
      }
      suppressions.push({
        code: word as Code,
        because,
        at,
        isInSource: true,
        matches: (finding) => finding.file === name && (isWhole || finding.line === line),
        isExpected: selected !== false,
      });
    }
  }
  return suppressions;
}

/**
 * The line that a comment is about: its own, or the next line with other content if the comment is alone on its line.
 */
function lineOf({ line, column }: Position, lines: readonly string[]): number {
  if ((lines[line - 1] ?? "").slice(0, column - 1).trim() !== "") return line;
  const next = lines.findIndex((text, i) => i >= line && !/^\s*(#|$)/.test(text));
  return next < 0 ? line : next + 1;
}

function faultOf(code: string): string | undefined {
  if (code === UNUSED || code === MALFORMED) return `${code} is about suppressions, and cannot be suppressed`;
  return Object.hasOwn(KINDS, code) ? undefined : `there is no finding ${quote(code)}`;
}

function covers({ files, policies }: SuppressionEntry, finding: Finding, resources: Resources): boolean {
  if (files !== undefined && !files(finding.file)) return false;
  if (policies.length === 0) return true;
  const resource = resources.at(finding);
  return resource !== undefined && policies.includes(`${resource.namespace}/${resource.name}`);
}

/**
 * Reads a file of suppressions, for policies that cannot have comments: those of a cluster, and generated ones.
 *
 * @returns its entries, or its faults
 */
export function readSuppressionFile(
  file: string,
  text: string,
): { entries: SuppressionEntry[]; diagnostics: Diagnostic[] } {
  const { documents, diagnostics } = parseYaml(file, text);
  const report = new Report();
  report.addAll(diagnostics);
  const entries = documents.flatMap((document) => readDocument(document, report));
  if (documents.length === 0 && !report.hasErrors)
    report.error(
      { file, line: 0, column: 0 },
      "the file has no suppressions: write suppressions: and a list",
    );
  return { entries, diagnostics: report.diagnostics };
}

function readDocument(document: YamlNode, report: Report): SuppressionEntry[] {
  const fields = Fields.of(document, "", report);
  if (fields === undefined) return [];
  if (!fields.has("suppressions")) fields.miss("suppressions is missing: write suppressions: and a list");
  const entries = fields.objects("suppressions").map((entry) => readEntry(entry, report));
  fields.finish();
  return entries;
}

function readEntry(fields: Fields, report: Report): SuppressionEntry {
  const codes = fields.strings("codes");
  for (const { value, at } of codes) {
    const fault = faultOf(value);
    if (fault !== undefined) report.error(at, `${fault}: docs/check.md has the codes`);
  }
  if (codes.length === 0) fields.miss(`${fields.path}.codes is missing: write codes: [JG010]`);
  const files = fields.strings("files").map(({ value }) => value);
  const policies = fields.strings("policies");
  for (const { value, at } of policies) {
    if (!/^[^/]+\/[^/]+$/.test(value))
      report.error(at, `${quote(value)} is not a policy: write NAMESPACE/NAME`);
  }
  const because = fields.string("because");
  if (because === undefined || because.value.trim() === "")
    fields.miss(`${fields.path}.because is missing: write why the finding is to stay`);
  fields.finish();
  return {
    codes: codes.map(({ value }) => value as Code),
    files: files.length === 0 ? undefined : picomatch(files, { dot: true, nonegate: true }),
    policies: policies.map(({ value }) => value),
    because: because?.value.trim() ?? "",
    at: fields.at,
  };
}
