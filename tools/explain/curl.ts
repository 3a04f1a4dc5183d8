/** A pasted `curl` line → the request that it sends. The line is read, never run. */

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
  `anyauth basic compressed compressed-ssh fail fail-early fail-with-body globoff http0.9 http1.0 http1.1 http2
  http2-prior-knowledge http3 include insecure ipv4 ipv6 location location-trusted no-buffer no-keepalive
  no-progress-meter path-as-is progress-bar remote-name remote-header-name show-error silent styled-output tcp-nodelay
  tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 ssl-reqd tr-encoding verbose disable next-protocol`.split(/\s+/),
);

/** Long options whose value changes nothing about what a policy sees. */
const VALUES = new Set(
  `cacert capath cert cert-type ciphers config connect-timeout connect-to cookie-jar dump-header interface keepalive-time
  key key-type limit-rate max-filesize max-redirs max-time netrc-file noproxy output pass proxy proxy-header proxy-user
  range resolve retry retry-delay retry-max-time speed-limit speed-time stderr trace trace-ascii unix-socket
  write-out`.split(/\s+/),
);

/** Short options by their long names. */
const SHORT: Record<string, string> = {
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
};

/** Options with a value that say something about the request. */
const MEANT = new Set(
  `request header data data-raw data-binary data-ascii data-urlencode json form form-string url url-query user-agent
  referer cookie user oauth2-bearer`.split(/\s+/),
);

/**
 * @param line beginning with `curl`, with or without line breaks behind backslashes
 * @param variables what `$NAME` stands for
 * @throws {CurlError}
 */
export function parseCurl(
  line: string,
  variables: Readonly<Record<string, string | undefined>> = {},
): CurlRequest {
  const [program, ...words] = splitWords(line, variables);
  if (program === undefined || !/(^|\/)curl(\.exe)?$/.test(program)) {
    throw new CurlError("this is no curl line: it must begin with curl");
  }
  const reader = new CurlReader();
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
    const name = SHORT[letters[i] ?? ""];
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
  private readonly headers: [string, string][] = [];
  private readonly data: string[] = [];
  private contentType: string | undefined;
  private isHead = false;
  private isGet = false;

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
      case "data-urlencode":
        this.contentType ??= "application/x-www-form-urlencoded";
        this.data.push(this.inline(name, value()));
        return;
      case "json":
        this.contentType ??= "application/json";
        this.data.push(this.inline(name, value()));
        return;
      case "form":
      case "form-string":
        value();
        this.contentType ??= "multipart/form-data";
        this.data.push("");
        return;
      case "user-agent":
        this.addHeader(`User-Agent: ${value()}`);
        return;
      case "referer":
        this.addHeader(`Referer: ${value()}`);
        return;
      case "cookie": {
        const cookie = value();
        if (!cookie.includes("=")) throw new CurlError("-b with a file is not read: write NAME=VALUE");
        this.addHeader(`Cookie: ${cookie}`);
        return;
      }
      case "user":
        this.addHeader(`Authorization: Basic ${Buffer.from(value()).toString("base64")}`);
        return;
      case "oauth2-bearer":
        this.addHeader(`Authorization: Bearer ${value()}`);
        return;
      case "head":
        this.isHead = true;
        return;
      case "get":
        this.isGet = true;
        return;
      default:
        throw new CurlError(`the option --${name} of curl is not understood: leave it out`);
    }
  }

  request(): CurlRequest {
    if (this.url === undefined) throw new CurlError("the curl line has no URL");
    const body = this.data.join("&");
    const hasBody = this.data.length > 0 && !this.isGet;
    const own: [string, string][] = [
      ["User-Agent", "curl"],
      ["Accept", "*/*"],
      ...(hasBody && this.contentType !== undefined
        ? [["Content-Type", this.contentType] as [string, string]]
        : []),
    ];
    const given = new Set(this.headers.map(([name]) => name.toLowerCase()));
    const headers = [...own.filter(([name]) => !given.has(name.toLowerCase())), ...this.headers];
    const separator = this.url.includes("?") ? "&" : "?";
    return {
      method: this.method ?? (this.isHead ? "HEAD" : hasBody ? "POST" : "GET"),
      url: this.isGet && body !== "" ? `${this.url}${separator}${body}` : this.url,
      // `-H 'Name:'` takes a header away; `-H 'Name;'` sends an empty one.
      headers: headers
        .filter(([, value]) => value !== "")
        .map(([name, value]) => [name, value === ";" ? "" : value]),
      body: hasBody ? body : "",
    };
  }

  private addUrl(url: string): void {
    if (this.url !== undefined)
      throw new CurlError(`the curl line has two URLs, ${this.url} and ${url}: keep one`);
    this.url = url;
  }

  private addHeader(line: string): void {
    if (line.startsWith("@")) throw new CurlError("-H with a file is not read: write NAME: VALUE");
    const empty = /^([^:;]+);$/.exec(line);
    if (empty) this.headers.push([empty[1] ?? "", ";"]);
    const colon = line.indexOf(":");
    if (empty || colon < 0) return;
    this.headers.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
  }

  private inline(name: string, text: string): string {
    if (text.startsWith("@") && name !== "data-raw") {
      throw new CurlError("data from a file is not read, and no policy looks at it: leave it out");
    }
    return text;
  }
}

/** The words of a line as a POSIX shell splits them; variables are replaced, commands are refused. */
function splitWords(line: string, variables: Readonly<Record<string, string | undefined>>): string[] {
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
    const value = variables[name];
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
      add((end[1] ?? "").replace(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter));
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

const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
