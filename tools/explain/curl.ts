/** Converts a pasted `curl` line to the request that it sends. The line is read, never run. */

import { base64Encode, latin1Decode, latin1Encode, utf8Decode, utf8Encode, wireText } from "../host/bytes.ts";
import { IGNORED, OBEYED, type Obeyed, REFUSED } from "./curl-effects.ts";
import { CURL_OPTIONS, CURL_VERSION, type CurlOption } from "./curl-options.ts";

/** A line that cannot be understood; the message is for the user. */
export class CurlError extends Error {
  override readonly name = "CurlError";
}

export interface CurlRequest {
  method: string;
  url: string;
  /** As curl sends them, including its own. */
  headers: [string, string][];
  body: string;
}

const LONG = new Map(CURL_OPTIONS.map((option) => [option[0], option]));
const SHORT = new Map(CURL_OPTIONS.flatMap((option) => (option[2] === "" ? [] : [[option[2], option]])));
const IGNORED_OPTIONS = new Set(IGNORED);
const OBEYED_OPTIONS = new Set<string>(OBEYED);

/** What a curl line needs from the machine that it is run on. */
export interface CurlSurroundings {
  /** The value of `$NAME`. */
  variables?: Readonly<Record<string, string | undefined>>;
  /** Reads what `@FILE` names; without it such a line is refused. */
  readFile?: (path: string) => Uint8Array;
}

/**
 * What curl would send, as its version 8.22 does (lib/http.c, src/tool_getparam.c, src/tool_operate.c).
 *
 * @param line beginning with `curl`, with or without line breaks after backslashes
 * @throws {CurlError}
 */
export function parseCurl(line: string, { variables = {}, readFile }: CurlSurroundings = {}): CurlRequest {
  const [program, ...words] = splitWords(line, variables);
  if (program === undefined || !/(^|\/)curl(\.exe)?$/.test(program)) {
    throw new CurlError("this is not a curl line: it must begin with curl");
  }
  const reader = new CurlReader(readFile);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    const next = (): string => {
      const value = words[++i];
      if (value === undefined) throw new CurlError(`${word} needs a value`);
      return value;
    };
    if (word === "--") for (const url of words.slice(i + 1)) reader.option("url", () => url);
    if (word === "--") break;
    if (word.startsWith("--")) readLong(word.slice(2), next, reader);
    // A single dash is a word without options.
    else if (word.startsWith("-")) readShort(word.slice(1), next, reader);
    else reader.option("url", () => word);
  }
  return reader.request();
}

/** `--NAME`, `--NAME=VALUE`, `--no-NAME`. Names are written in full: curl 8 accepts no abbreviation. */
function readLong(word: string, next: () => string, reader: CurlReader): void {
  const [, written = "", , attached] = /^([^=]*)(=(.*))?$/s.exec(word) ?? [];
  if (written.startsWith("expand-"))
    throw new CurlError(`--${written} puts variables in, which are not read here`);
  const isOff = written.startsWith("no-");
  const name = isOff ? written.slice("no-".length) : written;
  const option = LONG.get(name);
  if (option === undefined) throw new CurlError(unknown(`--${written}`, name, isOff ? "--no-" : "--"));
  if (isOff && option[1] !== "switch")
    throw new CurlError(`curl ${CURL_VERSION} has no option --${written}, but --${name}`);
  apply(option, `--${written}`, !isOff, attached === undefined ? next : () => attached, reader);
}

/** `-sSXPOST`: letters in a row, the last possibly with its value. */
function readShort(letters: string, next: () => string, reader: CurlReader): void {
  for (const [i, letter] of [...letters].entries()) {
    const option = SHORT.get(letter);
    if (option === undefined) throw new CurlError(unknown(`-${letter}`));
    const rest = [...letters].slice(i + 1).join("");
    apply(option, `-${letter}`, option[3] !== "off", rest === "" ? next : () => rest, reader);
    if (option[1] === "value") return;
  }
}

/** @param written the option as written in the line */
function apply(
  [name, takes]: CurlOption,
  written: string,
  isOn: boolean,
  value: () => string,
  reader: CurlReader,
): void {
  if (isObeyed(name)) {
    reader.option(name, value, isOn);
    return;
  }
  // A switch that is off changes nothing.
  if (!IGNORED_OPTIONS.has(name) && isOn) {
    const shown = written === `--${name}` ? written : `${written} (--${name})`;
    throw new CurlError(`the option ${shown} of curl ${REFUSED.get(name)}`);
  }
  if (takes === "value") value();
}

function isObeyed(name: string): name is Obeyed {
  return OBEYED_OPTIONS.has(name);
}

/** @param name without its dashes, if it is a long one: earlier versions of curl accepted the beginning of a name */
function unknown(written: string, name = "", dashes = "--"): string {
  const longer = name === "" ? [] : [...LONG.keys()].filter((known) => known.startsWith(name));
  const [only] = longer.length === 1 ? longer : [];
  return `curl ${CURL_VERSION} has no option ${written}${only === undefined ? "" : `: write ${dashes}${only}`}`;
}

class CurlReader {
  private url: string | undefined;
  private method: string | undefined;
  /** Those of -H; undefined removes curl's own header of that name. */
  private readonly given: [string, string | undefined][] = [];
  private readonly cookies: string[] = [];
  private userAgent = "curl";
  private referer = "";
  private user: string | undefined;
  private bearer: string | undefined;
  private range: string | undefined;
  private data: string | undefined;
  private query: string | undefined;
  private contentType: string | undefined;
  private accept = "*/*";
  private isHead = false;
  private isGet = false;
  private isPathAsIs = false;
  private isAnyAuth = false;
  private isCompressed = false;
  private isGlobOff = false;

  constructor(private readonly readFile: CurlSurroundings["readFile"]) {}

  /** @param isOn false after `--no-` */
  option(name: Obeyed, value: () => string, isOn = true): void {
    switch (name) {
      case "url":
        this.addUrl(value());
        return;
      case "request":
        this.method = value();
        return;
      case "header":
        this.addHeader(value());
        return;
      case "data":
      case "data-ascii":
      case "data-raw":
      case "data-binary":
        this.contentType ??= FORM;
        this.addData(this.dataOf(name, value()), "&");
        return;
      case "data-urlencode":
        this.contentType ??= FORM;
        this.addData(this.encoded(value()), "&");
        return;
      case "json":
        this.contentType = JSON_TYPE;
        this.accept = JSON_TYPE;
        this.addData(this.dataOf(name, value()), "");
        return;
      case "form":
      case "form-string":
        value();
        this.contentType ??= "multipart/form-data";
        this.data ??= "";
        return;
      case "url-query": {
        const text = value();
        const added = text.startsWith("+") ? text.slice(1) : this.encoded(text);
        this.query = this.query === undefined ? added : `${this.query}&${added}`;
        return;
      }
      case "user-agent":
        this.userAgent = value();
        return;
      case "referer":
        this.referer = value().replace(/;auto$/, "");
        return;
      case "cookie": {
        const cookie = value();
        if (!cookie.includes("=")) throw new CurlError("-b with a file is not read: write NAME=VALUE");
        this.cookies.push(cookie);
        return;
      }
      case "user":
        this.user = wireText(value());
        if (!this.user.includes(":"))
          throw new CurlError("-u without a password asks for one: write -u NAME:PASSWORD");
        return;
      case "oauth2-bearer":
        this.bearer = value();
        return;
      case "range":
        this.range = `bytes=${value()}`;
        return;
      case "head":
        this.isHead = isOn;
        return;
      case "get":
        this.isGet = isOn;
        return;
      case "globoff":
        this.isGlobOff = isOn;
        return;
      case "anyauth":
        this.isAnyAuth = isOn;
        return;
      case "path-as-is":
        this.isPathAsIs = isOn;
        return;
      case "compressed":
        this.isCompressed = isOn;
        return;
    }
  }

  request(): CurlRequest {
    if (this.url === undefined) throw new CurlError("the curl line has no URL");
    if (!this.isGlobOff && /[{}[\]]/.test(this.url.replace(LITERAL_BRACKETS, "")))
      throw new CurlError(
        `curl makes several URLs of {…} and […] in ${this.url}, or refuses it: write one of them, or -g to send it as it is`,
      );
    const hasBody = this.data !== undefined && !this.isGet;
    if (hasBody && this.isHead)
      throw new CurlError("-I and data are two methods in one, which curl refuses: leave one out");
    const { url, user } = this.target(this.url);
    return {
      method: this.method ?? (this.isHead ? "HEAD" : hasBody ? "POST" : "GET"),
      url,
      headers: this.headers(hasBody, this.user ?? user),
      body: hasBody ? (this.data ?? "") : "",
    };
  }

  /** -H replaces what curl would write itself: `-H 'Name:'` removes a header, `-H 'Name;'` sends an empty one. */
  private headers(hasBody: boolean, user: string | undefined): [string, string][] {
    const basic =
      user === undefined || this.isAnyAuth ? undefined : `Basic ${base64Encode(latin1Encode(user))}`;
    const own: [string, string | undefined][] = [
      ["Authorization", this.bearer === undefined ? basic : `Bearer ${this.bearer}`],
      ["Range", this.range],
      ["User-Agent", this.userAgent || undefined],
      ["Accept", this.accept],
      ["Accept-Encoding", this.isCompressed ? ENCODINGS : undefined],
      ["Referer", this.referer || undefined],
      [
        "Cookie",
        this.cookies.length === 0 ? undefined : this.cookies.map((one) => one.trimStart()).join("; "),
      ],
      ["Content-Type", hasBody ? this.contentType : undefined],
    ];
    const named = new Set(this.given.map(([name]) => name.toLowerCase()));
    return [...own.filter(([name]) => !named.has(name.toLowerCase())), ...this.given].flatMap(
      ([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]),
    );
  }

  /** The URL with additions to its query and without what is not sent; and the user in it. */
  private target(text: string): { url: string; user: string | undefined } {
    const [, scheme = "", authority = "", path = "", query = ""] =
      /^([a-z][a-z0-9+.-]*:\/\/)?([^/?#]*)([^?#]*)(\?[^#]*)?/i.exec(text) ?? [];
    const at = authority.lastIndexOf("@");
    const added = (this.isGet ? this.data : undefined) ?? this.query;
    const separator = query.length > 1 && !query.endsWith("&") ? "&" : "";
    const search =
      added === undefined
        ? query
        : `${query || "?"}${separator}${upperCasedEscapes(added)}`.replace(/^\?$/, "");
    // If curl adds to a URL, it rewrites it, without regard to --path-as-is.
    const sent = this.isPathAsIs && added === undefined ? path : withoutDots(path);
    const url = `${scheme}${authority.slice(at + 1)}${escapeBeyondAscii(`${sent}${search}`)}`;
    if (/[\0-\x20\x7f]/.test(url)) throw new CurlError(`curl refuses ${url}: write spaces as %20`);
    return { url, user: at < 0 ? undefined : userOf(authority.slice(0, at)) };
  }

  private addUrl(url: string): void {
    if (this.url !== undefined)
      throw new CurlError(`the curl line has two URLs, ${this.url} and ${url}: keep one`);
    this.url = url;
  }

  private addHeader(line: string): void {
    if (line.startsWith("@")) throw new CurlError("-H with a file is not read: write NAME: VALUE");
    const empty = /^([^:;]+);$/.exec(line)?.[1];
    const colon = line.indexOf(":");
    if (empty !== undefined) this.given.push([empty, ""]);
    else if (colon >= 0)
      this.given.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim() || undefined]);
  }

  private addData(text: string, separator: string): void {
    this.data = this.data ? `${this.data}${separator}${text}` : text;
  }

  /**
   * The value of -d and its variants. Line breaks of a file are left out, except for --data-binary and
   * --json.
   */
  private dataOf(name: string, text: string): string {
    if (!text.startsWith("@") || name === "data-raw") return text;
    const content = new TextDecoder().decode(this.read(text.slice(1)));
    return name === "data-binary" || name === "json" ? content : content.replace(/[\r\n\0]/g, "");
  }

  /** `CONTENT`, `=CONTENT`, `NAME=CONTENT`, `@FILE` or `NAME@FILE`: all but the name is escaped. */
  private encoded(text: string): string {
    const [, name = "", sign = "", rest = text] =
      /^([^=]*)(=)(.*)$/s.exec(text) ?? /^([^@]*)(@)(.*)$/s.exec(text) ?? [];
    const content = sign === "@" ? this.read(rest) : utf8Encode(rest);
    return `${name}${name && "="}${escapeBytes(content)}`;
  }

  private read(path: string): Uint8Array {
    if (this.readFile === undefined || path === "-")
      throw new CurlError(`data from ${path === "-" ? "standard input" : "a file"} is not read: write it`);
    return this.readFile(path);
  }
}

const FORM = "application/x-www-form-urlencoded";
const JSON_TYPE = "application/json";
/** An IPv6 address, or nothing, in brackets: curl leaves it unchanged (src/tool_urlglob.c). */
const LITERAL_BRACKETS = /\[([0-9a-f.:]*:[0-9a-f.:]*(%[^\]]*)?)?\]/gi;
/** From a curl that was built with every compression that it supports (lib/content_encoding.c). */
const ENCODINGS = "deflate, gzip, br, zstd";

/** As curl_easy_escape does, but with `+` for a space. */
function escapeBytes(content: Uint8Array): string {
  return latin1Decode(content).replace(/[^A-Za-z0-9\-._~]/gs, (character) =>
    character === " " ? "+" : escapeOf(character),
  );
}

function escapeBeyondAscii(text: string): string {
  return wireText(text).replace(/[\x80-\xff]/g, escapeOf);
}

/** @param byte as a character */
function escapeOf(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

function upperCasedEscapes(text: string): string {
  return text.replace(/%[0-9a-f]{2}/gi, (escaped) => escaped.toUpperCase());
}

/** Resolves `.` and `..`, escaped or not (RFC 3986, 5.2.4). */
function withoutDots(path: string): string {
  const segments: string[] = [];
  for (const [i, segment] of path.split("/").slice(1).entries()) {
    const plain = segment.replace(/%2e/gi, ".");
    if (plain === "..") segments.pop();
    if (plain !== "." && plain !== "..") segments.push(segment);
    else if (i === path.split("/").length - 2) segments.push("");
  }
  return path === "" ? "" : `/${segments.join("/")}`;
}

/**
 * `NAME:PASSWORD` of a URL's user information; the password may be missing.
 *
 * @returns the bytes that its escapes represent, as characters
 */
function userOf(information: string): string {
  if (information.includes("@")) throw new CurlError("the URL has two @, which curl refuses: write %40");
  const decoded = wireText(information).replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  if (/[\0-\x1f\x7f]/.test(decoded))
    throw new CurlError("the URL's user name or password has a control character, which curl refuses");
  return information.includes(":") ? decoded : `${decoded}:`;
}

/** The words of a line as a POSIX shell splits them; variables are replaced, commands are refused. */
function splitWords(line: string, variables: NonNullable<CurlSurroundings["variables"]>): string[] {
  const words: string[] = [];
  let word: string | undefined;
  const add = (text: string) => {
    word = (word ?? "") + text;
  };
  let i = 0;
  /** `$NAME`, `${NAME}`; the index is after the `$`. */
  const variable = (): string => {
    const match = /^(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/.exec(line.slice(i));
    if (match === null) {
      if (line[i] === "(") throw new CurlError("$(…) would run a command: put its result there instead");
      return "$";
    }
    i += match[0].length;
    const name = match[1] ?? match[2] ?? "";
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (value === undefined)
      throw new CurlError(`the variable ${name} is not set here: export it, or write its value`);
    return value;
  };
  while (i < line.length) {
    const character = line[i++] ?? "";
    if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === "\\") {
      if (line.startsWith("\r\n", i)) i += 2;
      else if (line[i] === "\n") i++;
      else add(line[i++] ?? "");
    } else if (character === "'") {
      const end = line.indexOf("'", i);
      if (end < 0) throw new CurlError("a single quote is not closed");
      add(line.slice(i, end));
      i = end + 1;
    } else if (character === '"') {
      add("");
      while (line[i] !== '"') {
        const inner = line[i++];
        if (inner === undefined) throw new CurlError("a double quote is not closed");
        if (inner === "\\" && /["\\$`\n]/.test(line[i] ?? ""))
          add(line[i++] === "\n" ? "" : (line[i - 1] ?? ""));
        else if (inner === "`") throw new CurlError("`…` would run a command: put its result there instead");
        else add(inner === "$" ? variable() : inner);
      }
      i++;
    } else if (character === "$" && line[i] === "'") {
      const end = /^'((?:[^'\\]|\\.)*)'/s.exec(line.slice(i));
      if (end === null) throw new CurlError("a single quote is not closed");
      add(unescapeAnsiC(end[1] ?? ""));
      i += end[0].length;
    } else if (character === "$") {
      add(variable());
    } else if (character === "^" && /^(?:"|\r?\n)/.test(line.slice(i, i + 2))) {
      throw new CurlError("this line is for cmd of Windows: copy it as cURL for bash");
    } else if (character === "`") {
      throw new CurlError("`…` would run a command: put its result there instead");
    } else if (/[|;&<>]/.test(character)) {
      // What follows is another command, or where the output goes.
      break;
    } else {
      add(character);
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/**
 * The text between the quotes of $'…', as bash reads it (its manual, "ANSI-C Quoting"); browsers copy lines in this
 * form.
 */
function unescapeAnsiC(text: string): string {
  const parts =
    /((?:\\x[0-9a-fA-F]{1,2}|\\[0-7]{1,3})+)|\\u([0-9a-fA-F]{1,4})|\\U([0-9a-fA-F]{1,8})|\\c([\x20-\x7e])|\\(.)/gs;
  const unescaped = text.replace(
    parts,
    (whole, bytes?: string, short?: string, long?: string, control?: string, letter?: string) => {
      if (bytes !== undefined) return bytesOf(bytes);
      if (control !== undefined) return String.fromCharCode(control.charCodeAt(0) & 0x1f);
      const code = short ?? long;
      if (code === undefined)
        return ESCAPES.get(letter ?? "") ?? (/["'?\\]/.test(letter ?? "") ? (letter ?? "") : whole);
      const point = Number.parseInt(code, 16);
      if (point > 0x10ffff) throw new CurlError(`\\U${code} is not a character of Unicode`);
      return String.fromCodePoint(point);
    },
  );
  // NUL ends the quoted text.
  return unescaped.replace(/\0.*/s, "");
}

/** @param escapes `\xHH` and `\NNN`, whose bytes are UTF-8 */
function bytesOf(escapes: string): string {
  const bytes = escapes
    .split("\\")
    .slice(1)
    .map((one) => (one.startsWith("x") ? Number.parseInt(one.slice(1), 16) : Number.parseInt(one, 8)) & 0xff);
  return utf8Decode(Uint8Array.from(bytes));
}

const ESCAPES = new Map(
  Object.entries({ a: "\x07", b: "\b", e: "\x1b", E: "\x1b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" }),
);
