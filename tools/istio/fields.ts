/**
 * Strict access to the fields of an object. Every field has a type, and a field that was not read is an error that
 * suggests the intended name.
 */
import { distance as levenshtein } from "fastest-levenshtein";
import type { Position } from "../diagnostics.ts";
import { PLACES } from "./places.ts";
import { quote, type Report } from "./report.ts";
import { isTextOfJson, type Located, type MapNode, nameOf, WRITTEN_AS_YAML, type YamlNode } from "./yaml.ts";

const ONE_VALUE = "write one value, without - or brackets in front of it";

export class Fields {
  private readonly known = new Set<string>();
  private readonly missing: { at: Position; message: string }[] = [];

  /** @param path as messages name the object, such as `spec.jwtRules[0]` */
  constructor(
    private readonly node: MapNode,
    readonly path: string,
    private readonly report: Report,
  ) {}

  /** @returns the fields of an object; none, with an error, if the value is something else */
  static of(node: YamlNode, path: string, report: Report): Fields | undefined {
    if (node.kind === "map") return new Fields(node, path, report);
    report.error(node.at, `${path || "a document"} must be an object with fields, not ${nameOf(node)}`);
    return undefined;
  }

  get at(): Position {
    return this.node.at;
  }

  /** The position of a field's name; of the object if the field is absent. */
  keyAt(name: string): Position {
    return this.node.entries.get(name)?.key.at ?? this.node.at;
  }

  /** Whether the field has a value. As in Kubernetes, null counts as absent. */
  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Whether the field is a list without values. */
  isEmptyList(name: string): boolean {
    const node = this.get(name);
    return node?.kind === "list" && node.items.length === 0;
  }

  /** The same object, whose errors go to another report. */
  reportingTo(report: Report): Fields {
    return new Fields(this.node, this.path, report);
  }

  /** Marks fields that are known and have no effect as read. */
  ignore(...names: string[]): void {
    for (const name of names) this.known.add(name);
  }

  string(name: string): Located<string> | undefined {
    const node = this.get(name);
    if (node === undefined) return undefined;
    if (isTextOfJson(name) && (node.kind === "list" || node.kind === "map")) {
      this.report.error(node.at, WRITTEN_AS_YAML);
      return undefined;
    }
    return this.stringOf(node, this.nameOf(name));
  }

  boolean(name: string): boolean | undefined {
    const node = this.get(name);
    if (node === undefined || node.kind === "boolean") return node?.value;
    this.report.error(
      node.at,
      `${this.nameOf(name)} must be true or false, without quotes, not ${nameOf(node)}`,
    );
    return undefined;
  }

  /** An unsigned integer, as YAML or a string: its digits. */
  digits(name: string): Located<string> | undefined {
    const node = this.get(name);
    if (node === undefined) return undefined;
    const text = node.kind === "number" ? node.source : node.kind === "string" ? node.value : "";
    if (/^\d{1,15}$/.test(text)) return { value: text, at: node.at };
    this.report.error(node.at, `${this.nameOf(name)} must be a whole number, not ${nameOf(node)}`);
    return undefined;
  }

  /** An absent field is an empty list. */
  strings(name: string): Located<string>[] {
    return this.list(name).flatMap((item, i) => this.stringOf(item, `${this.nameOf(name)}[${i}]`) ?? []);
  }

  /** @param report receives faults of the object's fields; this object's report if absent */
  object(name: string, report: Report = this.report): Fields | undefined {
    const node = this.get(name);
    return node && Fields.of(node, this.nameOf(name), report);
  }

  /** An absent field is an empty list. */
  objects(name: string): Fields[] {
    return this.list(name).flatMap(
      (item, i) => Fields.of(item, `${this.nameOf(name)}[${i}]`, this.report) ?? [],
    );
  }

  /** A map of strings, such as labels: each value with the position of its name. */
  stringMap(name: string): Map<string, Located<string>> {
    const map = new Map<string, Located<string>>();
    const node = this.get(name);
    if (node === undefined) return map;
    if (node.kind !== "map") {
      this.report.error(node.at, `${this.nameOf(name)} must be a map of strings, not ${nameOf(node)}`);
      return map;
    }
    for (const [key, { key: located, value }] of node.entries) {
      const string = this.stringOf(value, `${this.nameOf(name)}[${key}]`);
      if (string !== undefined) map.set(key, { value: string.value, at: located.at });
    }
    return map;
  }

  /** The values of a list; an absent field is an empty list. */
  list(name: string): YamlNode[] {
    const node = this.get(name);
    if (node === undefined) return [];
    if (node.kind === "list") return node.items;
    const hint = node.kind === "string" ? `: write [${quote(node.value)}]` : "";
    this.report.error(node.at, `${this.nameOf(name)} must be a list, not ${nameOf(node)}${hint}`);
    return [];
  }

  /** Records that something is missing; `finish` reports it, unless it finds a field that was probably meant. */
  miss(message: string, at: Position = this.at): void {
    this.missing.push({ at, message });
  }

  /** Reports every field that was not read, or else what is missing. Must be called last. */
  finish(): void {
    const unknown = [...this.node.entries].filter(([name]) => !this.known.has(name));
    for (const [name, { key }] of unknown) {
      const place = this.path === "" ? "here" : `in ${this.path}`;
      this.report.error(key.at, `unknown field ${quote(name)} ${place}: ${this.advice(name)}`);
    }
    if (unknown.length > 0) return;
    for (const { at, message } of this.missing) this.report.error(at, message);
  }

  private get(name: string): YamlNode | undefined {
    this.known.add(name);
    const node = this.node.entries.get(name)?.value;
    return node?.kind === "null" ? undefined : node;
  }

  private nameOf(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  private stringOf(node: YamlNode, name: string): Located<string> | undefined {
    switch (node.kind) {
      case "string":
        return { value: node.value, at: node.at };
      case "boolean":
      case "number": {
        const hint = `put it in quotes, "${node.source}"`;
        this.report.error(
          node.at,
          `${name} must be a string, and YAML reads ${node.source} as ${nameOf(node)}: ${hint}`,
        );
        return undefined;
      }
      default:
        this.report.error(node.at, `${name} must be a string, not ${nameOf(node)}: ${ONE_VALUE}`);
        return undefined;
    }
  }

  private advice(name: string): string {
    const similar = closest(name, this.known);
    if (similar !== undefined) return `did you mean \`${similar}\`?`;
    const elsewhere = closest(name, Object.keys(PLACES), 0);
    if (elsewhere !== undefined) return `\`${elsewhere}\` belongs in ${PLACES[elsewhere]}`;
    return `the fields here are ${[...this.known].join(", ")}`;
  }
}

/**
 * The name that was probably meant.
 *
 * @param tolerance how many letters may differ: by default a third of them. Case, `_` and `-` never count.
 */
export function closest(name: string, candidates: Iterable<string>, tolerance?: number): string | undefined {
  const fold = (text: string) => text.toLowerCase().replace(/[-_]/g, "");
  const folded = fold(name);
  let best: string | undefined;
  let least = (tolerance ?? Math.max(1, Math.floor(folded.length / 3))) + 1;
  for (const candidate of candidates) {
    if (Math.abs(folded.length - fold(candidate).length) >= least) continue;
    const distance = levenshtein(folded, fold(candidate));
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}
