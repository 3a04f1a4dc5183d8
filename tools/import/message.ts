/**
 * Strict access to a protobuf message in JSON or YAML, as Envoy reads it: field names in snake_case or lowerCamelCase
 * (https://protobuf.dev/programming-guides/json/). Every field that was not read is an error, because it cannot be
 * converted.
 */
import type { Position } from "../diagnostics.ts";
import { closest } from "../istio/fields.ts";
import { quote, type Report } from "../istio/report.ts";
import { type Located, type MapNode, nameOf, type YamlNode } from "../istio/yaml.ts";

export class Message {
  private readonly known = new Set<string>();
  private readonly entries: Map<string, { key: Located<string>; value: YamlNode }>;

  /** @param path as messages name it, such as `rules.policies[a].principals[0]` */
  constructor(
    readonly node: MapNode,
    readonly path: string,
    readonly report: Report,
  ) {
    this.entries = new Map();
    for (const [name, entry] of node.entries) {
      const field = snakeCase(name);
      if (this.entries.has(field)) {
        report.error(entry.key.at, `${this.nameOf(field)} is there in two spellings: keep one of them`);
      }
      if (entry.value.kind !== "null") this.entries.set(field, entry);
    }
  }

  /** @returns undefined, with an error, if the value is not a message */
  static of(node: YamlNode, path: string, report: Report): Message | undefined {
    if (node.kind === "map") return new Message(node, path, report);
    report.error(node.at, `${path} must be an object with fields, not ${nameOf(node)}`);
    return undefined;
  }

  get at(): Position {
    return this.node.at;
  }

  /** The position of a field's name, or of the message if it has no such field. */
  keyAt(name: string): Position {
    return this.entries.get(name)?.key.at ?? this.node.at;
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  /** Marks fields that have no effect here as read. */
  ignore(...names: string[]): void {
    for (const name of names) this.known.add(name);
  }

  /** The present fields of a oneof. More than one is an error. */
  oneOf(...names: string[]): string | undefined {
    const found = names.filter((name) => this.has(name));
    if (found.length > 1) {
      this.report.error(this.keyAt(found[1] ?? ""), `${this.path} can have only one of ${found.join(", ")}`);
    }
    return found[0];
  }

  /** A non-empty string. As in protobuf, the empty string counts as absent. */
  string(name: string): Located<string> | undefined {
    const node = this.get(name);
    const found = node && this.stringOf(node, this.nameOf(name));
    return found?.value === "" ? undefined : found;
  }

  /** false if absent. */
  boolean(name: string): boolean {
    const node = this.get(name);
    if (node === undefined) return false;
    if (node.kind === "boolean") return node.value ?? false;
    this.report.error(node.at, `${this.nameOf(name)} must be true or false, not ${nameOf(node)}`);
    return false;
  }

  /** An integer, which JSON may write as a string. */
  integer(name: string): number | undefined {
    const node = this.get(name);
    if (node === undefined) return undefined;
    const text = node.kind === "number" ? node.source : node.kind === "string" ? node.value : "";
    if (/^-?\d{1,15}$/.test(text)) return Number(text);
    this.report.error(node.at, `${this.nameOf(name)} must be a whole number, not ${nameOf(node)}`);
    return undefined;
  }

  /** A value of an enum: by its name or its number. @param values the names, by their numbers */
  enumeration<T extends string>(name: string, values: readonly [T, ...T[]]): T | undefined {
    const node = this.get(name);
    if (node === undefined) return values[0];
    const text = node.kind === "string" ? node.value : node.kind === "number" ? node.source : "";
    const found = values.find((value, number) => value === text || String(number) === text);
    if (found === undefined) {
      this.report.error(node.at, `${this.nameOf(name)} must be one of ${values.join(", ")}`);
    }
    return found;
  }

  /** A duration, `1.5s` or `{seconds: 1, nanos: 500000000}`, in milliseconds. */
  milliseconds(name: string): number | undefined {
    const node = this.get(name);
    if (node === undefined) return undefined;
    if (node.kind === "map") {
      const parts = new Message(node, this.nameOf(name), this.report);
      const [seconds = 0, nanos = 0] = [parts.integer("seconds"), parts.integer("nanos")];
      parts.finish();
      return seconds * 1000 + nanos / 1_000_000;
    }
    const match = node.kind === "string" ? /^(-?\d{1,12}(?:\.\d{1,9})?)s$/.exec(node.value) : null;
    if (match !== null) return Number(match[1]) * 1000;
    this.report.error(node.at, `${this.nameOf(name)} must be a duration in seconds, such as "5s"`);
    return undefined;
  }

  /** The strings of a list; an absent one is empty. */
  strings(name: string): Located<string>[] {
    return this.list(name).flatMap((item, i) => this.stringOf(item, `${this.nameOf(name)}[${i}]`) ?? []);
  }

  message(name: string): Message | undefined {
    const node = this.get(name);
    return node && Message.of(node, this.nameOf(name), this.report);
  }

  /** The messages of a list; an absent one is empty. */
  messages(name: string): Message[] {
    return this.list(name).flatMap(
      (item, i) => Message.of(item, `${this.nameOf(name)}[${i}]`, this.report) ?? [],
    );
  }

  /** A map of messages, in the order of the text. */
  map(name: string): { key: Located<string>; value: Message }[] {
    const node = this.get(name);
    if (node === undefined) return [];
    if (node.kind !== "map") {
      this.report.error(node.at, `${this.nameOf(name)} must be a map, not ${nameOf(node)}`);
      return [];
    }
    return [...node.entries.values()].flatMap(({ key, value }) => {
      const message = Message.of(value, `${this.nameOf(name)}[${key.value}]`, this.report);
      return message ? [{ key, value: message }] : [];
    });
  }

  /** The values of a list; an absent one is empty. */
  list(name: string): YamlNode[] {
    const node = this.get(name);
    if (node === undefined) return [];
    if (node.kind === "list") return node.items;
    this.report.error(node.at, `${this.nameOf(name)} must be a list, not ${nameOf(node)}`);
    return [];
  }

  /** Reports an error for each field that was not read. Must be called last. */
  finish(): void {
    for (const [name, { key }] of this.entries) {
      if (this.known.has(name)) continue;
      const meant = closest(name, this.known, 2);
      const advice =
        meant === undefined ? "its effect is unknown, so it cannot be imported" : `did you mean ${meant}?`;
      this.report.error(key.at, `unknown field ${quote(key.value)} in ${this.path}: ${advice}`);
    }
  }

  /** A field's name as messages write it. */
  nameOf(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }

  private get(name: string): YamlNode | undefined {
    this.known.add(name);
    return this.entries.get(name)?.value;
  }

  private stringOf(node: YamlNode, name: string): Located<string> | undefined {
    if (node.kind === "string") return { value: node.value, at: node.at };
    this.report.error(node.at, `${name} must be a string, not ${nameOf(node)}`);
    return undefined;
  }
}

/** protobuf's lowerCamelCase back to the field's own name. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
