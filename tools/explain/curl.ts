/** A pasted `curl` line → the request that it sends. The line is read, never run. */

import { base64Encode, latin1Decode, latin1Encode, utf8Encode, wireText } from "../host/bytes.ts";

/** A line that is not understood; the message is for the user. */
export class CurlError extends Error {
  override readonly name = "CurlError";
}

export interface CurlRequest {
  method: string;
  url: string;
  /** As curl sends them, its own included. */
  headers: [string, string][];
  body: string;
}

/** Long options without a value that change nothing about what a policy sees. */
const FLAGS = new Set(
  `basic compressed compressed-ssh fail fail-early fail-with-body globoff http0.9 http1.0 http1.1 http2
  http2-prior-knowledge http3 include insecure ipv4 ipv6 location location-trusted no-buffer no-keepalive
  no-progress-meter progress-bar remote-name remote-header-name show-error silent styled-output tcp-nodelay
  tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 ssl-reqd tr-encoding verbose disable next-protocol`.split(/\s+/),
);

/** Long options whose value changes nothing about what a policy sees. */
const VALUES = new Set(
  `cacert capath cert cert-type ciphers config connect-timeout connect-to cookie-jar dump-header interface keepalive-time
  key key-type limit-rate max-filesize max-redirs max-time netrc-file noproxy output pass proxy proxy-header proxy-user
  resolve retry retry-delay retry-max-time speed-limit speed-time stderr trace trace-ascii unix-socket
  write-out`.split(/\s+/),
);

/** Short options by their long names. */
const SHORT = new Map(
  Object.entries({
    "0": "http1.0",
    "1": "tlsv1",
    "2": "http2",
    "4": "ipv4",
    "6": "ipv6",
    A: "user-agent",
    b: "cookie",
    c: "cookie-jar",
    D: "dump-header",
    d: "data",
    E: "cert",
    e: "referer",
    F: "form",
    f: "fail",
    G: "get",
    g: "globoff",
    H: "header",
    I: "head",
    i: "include",
    J: "remote-header-name",
    K: "config",
    k: "insecure",
    L: "location",
    m: "max-time",
    N: "no-buffer",
    O: "remote-name",
    o: "output",
    q: "disable",
    r: "range",
    S: "show-error",
    s: "silent",
    T: "upload-file",
    U: "proxy-user",
    u: "user",
    v: "verbose",
    w: "write-out",
    X: "request",
    x: "proxy",
    "#": "progress-bar",
  }),
);

/** Options with a value that say something about the request. */
const MEANT = new Set(
  `request header data data-raw data-binary data-ascii data-urlencode json form form-string url url-query user-agent
  referer cookie user oauth2-bearer range`.split(/\s+/),
);

/** What a curl line takes from the machine that it is run on. */
export interface CurlSurroundings {
  /** What `$NAME` stands for. */
  variables?: Readonly<Record<string, string | undefined>>;
  /** Reads what `@FILE` names; without it such a line is refused. */
  readFile?: (path: string) => Uint8Array;
}

/**
 * What curl would send, as its newest version does (8.22; lib/http.c, src/tool_getparam.c, src/tool_operate.c).
 *
 * @param line beginning with `curl`, with or without line breaks behind backslashes
 * @throws {CurlError}
 */
export function parseCurl(line: string, { variables = {}, readFile }: CurlSurroundings = {}): CurlRequest {
  const [program, ...words] = splitWords(line, variables);
  if (program === undefined || !/(^|\/)curl(\.exe)?$/.test(program)) {
    throw new CurlError("this is no curl line: it must begin with curl");
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
    else if (word.startsWith("-") && word !== "-") readShort(word.slice(1), next, reader);
    else reader.option("url", () => word);
  }
  return reader.request();
}

function readLong(name: string, next: () => string, reader: CurlReader): void {
  if (FLAGS.has(name.replace(/^no-(?!buffer|keepalive|progress)/, ""))) return;
  if (VALUES.has(name)) next();
  else reader.option(name, next);
}

/** `-sSXPOST`: flags in a row, the last perhaps with its value attached. */
function readShort(letters: string, next: () => string, reader: CurlReader): void {
  for (let i = 0; i < letters.length; i++) {
    const name = SHORT.get(letters[i] ?? "");
    if (name === undefined)
      throw new CurlError(`the option -${letters[i]} of curl is not understood: leave it out`);
    if (FLAGS.has(name)) continue;
    const rest = letters.slice(i + 1);
    const value = rest === "" ? next : () => rest;
    if (VALUES.has(name)) value();
    else reader.option(name, value);
    if (VALUES.has(name) || MEANT.has(name)) return;
  }
}

class CurlReader {
  private url: string | undefined;
  private method: string | undefined;
  /** Those of -H; undefined takes curl's own of that name away. */
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

  constructor(private readonly readFile: CurlSurroundings["readFile"]) {}

  option(name: string, value: () => string): void {
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
        this.isHead = true;
        return;
      case "get":
        this.isGet = true;
        return;
      case "anyauth":
        this.isAnyAuth = true;
        return;
      case "path-as-is":
        this.isPathAsIs = true;
        return;
      default:
        throw new CurlError(`the option --${name} of curl is not understood: leave it out`);
    }
  }

  request(): CurlRequest {
    if (this.url === undefined) throw new CurlError("the curl line has no URL");
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

  /** -H goes before what curl would write itself: `-H 'Name:'` takes a header away, `-H 'Name;'` sends an empty one. */
  private headers(hasBody: boolean, user: string | undefined): [string, string][] {
    const basic =
      user === undefined || this.isAnyAuth ? undefined : `Basic ${base64Encode(latin1Encode(user))}`;
    const own: [string, string | undefined][] = [
      ["Authorization", this.bearer === undefined ? basic : `Bearer ${this.bearer}`],
      ["Range", this.range],
      ["User-Agent", this.userAgent || undefined],
      ["Accept", this.accept],
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

  /** The URL with what is added to its query and without what is not sent; and the user that it names. */
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
    // If curl adds to a URL, it writes it anew, without regard to --path-as-is.
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

  /** The value of -d and its kin. Line breaks of a file are left out but for --data-binary and --json. */
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
 * @returns the bytes that its escapes stand for, as characters
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
  /** `$NAME`, `${NAME}`; the index stands behind the `$`. */
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
      add((end[1] ?? "").replace(/\\(.)/gs, (_, letter: string) => ESCAPES.get(letter) ?? letter));
      i += end[0].length;
    } else if (character === "$") {
      add(variable());
    } else if (character === "`") {
      throw new CurlError("`…` would run a command: put its result there instead");
    } else if (/[|;&<>]/.test(character)) {
      // What comes behind is another command, or where the output goes.
      break;
    } else {
      add(character);
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

const ESCAPES = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);
