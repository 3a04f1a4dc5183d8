/** Tables of a test file: a row for each method and path, a column for each token, and in each cell the expectation. */
import type { Position } from "../diagnostics.ts";
import { quote, type Report } from "../istio/report.ts";
import type { PlaceOf } from "./request.ts";
import type { Case, Placement, Request, Table } from "./schema.ts";

/** The name of a column that sends no token. */
export const NO_TOKEN = "none";

/** One cell: a request, and its expected result. */
interface Cell {
  name: string;
  /** The row's name as written. */
  row: string;
  /** From 0. */
  column: number;
  request: Request;
  /** The position of a part of the request. */
  at: PlaceOf;
  expect: Case["expect"];
}

/** The context of a table: its position, and where faults are reported. */
interface Surroundings {
  /** The position of a part of the table. */
  at: PlaceOf;
  /** The position of a row's name. */
  keyOf(row: string): Position;
  report: Report;
}

/**
 * The cells of a table, row by row. Every cell must be written, and every request only once: a missing or duplicate one
 * is an error at its row.
 *
 * @param hasNone whether the file has a token with the name that means no token
 */
export function cellsOf(table: Table, hasNone: boolean, surroundings: Surroundings): Cell[] {
  const { at, keyOf, report } = surroundings;
  const columns = (table.tokens ?? [NO_TOKEN]).map(columnOf);
  const none = columns.findIndex(({ token }) => token === undefined);
  if (hasNone && none >= 0) {
    const message = `in a table ${NO_TOKEN} means no token, and this file has a token of this name: rename the token`;
    report.error(at("tokens", none), message);
  }
  const seen = new Map<string, Position>();
  const cells: Cell[] = [];
  for (const [row, expected] of Object.entries(table.expect)) {
    const key = keyOf(row);
    compareLengths(expected, columns, key, report);
    for (const { method, path } of requestsOf(row, key, report)) {
      const name = `${method} ${path}`;
      const before = seen.get(name);
      seen.set(name, key);
      if (before !== undefined) {
        const place =
          before.line === key.line ? "twice in this row" : `in the row of line ${before.line} too`;
        report.error(key, `${name} is ${place}: keep one`);
      }
      for (const [column, { label, token }] of columns.entries()) {
        const expect = expected[column];
        if (expect === undefined) continue;
        const request = { ...table.request, method, path, ...(token !== undefined && { token }) };
        const place: PlaceOf = (part, ...rest) => {
          if (part === "token") return at("tokens", column);
          return part === "method" || part === "path" ? key : at("request", part ?? "", ...rest);
        };
        cells.push({ name: `${name}, ${label}`, row, column, request, at: place, expect });
      }
    }
  }
  if (Object.keys(table.expect).length === 0)
    report.error(at("expect"), "a table without rows tests nothing: write a row, such as GET /: [200]");
  return cells;
}

/** A column's name in the names of its tests, and its token. */
interface Column {
  label: string;
  token?: Placement;
}

function columnOf(token: Placement): Column {
  const { name, header, param, cookie } = typeof token === "string" ? { name: token } : token;
  if (name === NO_TOKEN) return { label: "no token" };
  const place = header ?? param ?? cookie;
  return { label: `token ${name}${place === undefined ? "" : ` in ${place}`}`, token };
}

/** What the name of a row means: each of its methods with each of its paths. */
function requestsOf(row: string, at: Position, report: Report): { method: string; path: string }[] {
  const [first = "", ...others] = row.trim().split(/\s+/);
  const hasMethods = /^[A-Z]+(,[A-Z]+)*$/.test(first);
  const methods = hasMethods ? first.split(",") : ["GET"];
  const paths = hasMethods ? others : [first, ...others];
  const wrong = paths.find((path) => !/^(\/|\*$)/.test(path));
  if (paths.length > 0 && wrong === undefined) {
    return methods.flatMap((method) => paths.map((path) => ({ method, path })));
  }
  const fault = wrong === undefined ? "there is no path" : `${quote(wrong)} is not a path`;
  report.error(at, `${fault} in the row ${quote(row)}: write /path, GET /path, or GET,POST /a /b`);
  return [];
}

function compareLengths(
  expected: readonly unknown[],
  columns: readonly Column[],
  at: Position,
  report: Report,
): void {
  const labels = columns.map(({ label }) => label);
  if (expected.length < columns.length) {
    const missing = labels.slice(expected.length).join("; ");
    report.error(at, `this row has no expectation for: ${missing}`);
  } else if (expected.length > columns.length) {
    const sizes = `${expected.length} values for ${columns.length} column${columns.length === 1 ? "" : "s"}`;
    report.error(at, `this row has ${sizes} (${labels.join("; ")}): one value for each column`);
  }
}
