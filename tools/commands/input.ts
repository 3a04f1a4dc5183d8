/** Reads inputs of any size: files, `-` for standard input, and special files. */
import { relative, resolve, sep } from "node:path";
import { decodeText } from "../istio/yaml.ts";
import { UserError } from "./output.ts";
import { readUpTo, reasonOf } from "./sources.ts";

/** Keys, tokens and claims are small; a larger file is probably the wrong one. */
const MAX_TEXT_BYTES = 1024 * 1024;

/** How a message names a path. */
export function nameOf(path: string): string {
  return path === "-" ? "<stdin>" : path;
}

/**
 * How GitHub and code scanning name a file: relative to the repository, from any folder in it, with slashes. A source
 * that is not a file, such as `<stdin>`, keeps its name.
 */
export function repositoryPath(file: string): string {
  const { GITHUB_WORKSPACE = "" } = process.env;
  if (file.startsWith("<")) return file;
  const path = GITHUB_WORKSPACE === "" ? file : relative(GITHUB_WORKSPACE, resolve(file));
  return path.split(sep).join("/");
}

/**
 * The bytes of a file, or of standard input for `-`.
 *
 * @param limit in bytes; reading ends there, so that endless devices and pipes end too
 * @throws {UserError} with one line, if it cannot be read or is larger
 */
export function readInput(path: string, limit: number): Buffer {
  try {
    return readUpTo(path, limit);
  } catch (error) {
    throw new UserError(`${nameOf(path)}: ${reasonOf(error)}`);
  }
}

/**
 * The bytes of a small file, or of standard input for `-`.
 *
 * @throws {UserError} with one line, if it cannot be read or is too large
 */
export function readBytes(path: string): Buffer {
  return readInput(path, MAX_TEXT_BYTES);
}

/**
 * The text of a small file, or of standard input for `-`, without a byte order mark.
 *
 * @throws {UserError} with one line, if it cannot be read, is too large or is not UTF-8
 */
export function readText(path: string): string {
  const decoded = decodeText(nameOf(path), readInput(path, MAX_TEXT_BYTES));
  if ("text" in decoded) return decoded.text;
  const { line, column, message } = decoded.diagnostic;
  throw new UserError(`${nameOf(path)}:${line}:${column}: ${message}`);
}

/**
 * The text of a document that a server would send, unchanged: a byte order mark, which JSON does not allow, is kept.
 *
 * @throws {UserError} with one line, if it cannot be read or is too large
 */
export function readDocument(path: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(readInput(path, MAX_TEXT_BYTES));
}
