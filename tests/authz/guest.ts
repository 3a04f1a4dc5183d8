/** Drives the authorization engine (tests/support/guest/authz.ts) and plays its host. */
import type { Authorization } from "../../tools/config/schema.ts";
import type { Decision, Facts } from "../model/authz.ts";
import { compileAssembly } from "../support/assembly.ts";

interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  begin(): void;
  malloc(size: number): number;
  load(text: number, size: number): bigint;
  token(text: number, size: number, spaceDelimited: number, spaceDelimitedSize: number): number;
  readRequest(): number;
  decide(times: number): number;
  evaluateToken(times: number): void;
  ruleId(): bigint;
  outcome(action: number, shadow: number): bigint;
  collect(): void;
}

const OK = 0;
const NOT_FOUND = 1;

export class AuthzGuest {
  private request: Facts = { headers: [] };

  private constructor(private readonly exports: Exports) {}

  static async compile(): Promise<WebAssembly.Module> {
    return WebAssembly.compile(await compileAssembly("tests/support/guest/authz.ts"));
  }

  static create(module: WebAssembly.Module): AuthzGuest {
    let guest: AuthzGuest | undefined;
    const host = () => {
      if (guest === undefined) throw new Error("a call of the host before there is one");
      return guest;
    };
    const { exports } = new WebAssembly.Instance(module, {
      env: {
        proxy_get_header_map_pairs: (_: number, at: number, size: number) => host().getPairs(at, size),
        proxy_get_property: (path: number, length: number, at: number, size: number) =>
          host().getProperty(path, length, at, size),
        // The filter logs that the host shows peers only in part. No test of this guest reads that.
        proxy_define_metric: () => OK,
        proxy_record_metric: () => OK,
        proxy_increment_metric: () => OK,
        proxy_log: () => OK,
      },
    });
    guest = new AuthzGuest(exports as unknown as Exports);
    guest.exports._initialize();
    return guest;
  }

  /** Loads a configuration. @returns the fault, if there is one */
  load(authorization: Authorization | string): string | undefined {
    this.exports.begin();
    const text = typeof authorization === "string" ? authorization : JSON.stringify(authorization);
    const fault = this.text(this.exports.load(...this.write(Buffer.from(text))));
    this.exports.begin();
    this.exports.collect();
    return fault || undefined;
  }

  /** Sets the verified token for the next decisions. */
  token(payload: object | undefined, spaceDelimited = ""): void {
    this.exports.begin();
    const none: [number, number] = [0, 0];
    const text = payload === undefined ? none : this.write(Buffer.from(JSON.stringify(payload)));
    if (!this.exports.token(...text, ...this.write(Buffer.from(spaceDelimited)))) {
      throw new Error("the payload is not JSON");
    }
  }

  decide(request: Facts): Decision {
    this.read(request);
    const refused = this.exports.decide(1);
    if (refused < 0) throw new Error("the host failed");
    const outcomes = (shadow: number) =>
      [0, 1, 2].map((action) => {
        const id = this.exports.outcome(action, shadow);
        return id === 0n ? undefined : id === 1n ? "" : this.text(id);
      });
    return {
      refused: refused === 1,
      ruleId: this.text(this.exports.ruleId()),
      enforced: outcomes(0),
      shadow: outcomes(1),
    };
  }

  /** Reads the request, for `repeat`. */
  read(request: Facts): void {
    this.request = request;
    this.exports.begin();
    if (!this.exports.readRequest()) throw new Error("the request could not be read");
  }

  /** Decides `times` times on the request that was read last. */
  repeat(times: number): void {
    this.exports.decide(times);
  }

  /** Evaluates `times` times the token that was set last. */
  repeatToken(times: number): void {
    this.exports.evaluateToken(times);
  }

  /** Bytes of the module's memory. */
  get memorySize(): number {
    return this.exports.memory.buffer.byteLength;
  }

  private write(bytes: Buffer): [number, number] {
    const at = this.exports.malloc(bytes.length);
    Buffer.from(this.exports.memory.buffer).set(bytes, at);
    return [at, bytes.length];
  }

  private text(slice: bigint): string {
    const at = Number((slice >> 32n) & 0xffffffffn);
    return Buffer.from(this.exports.memory.buffer, at, Number(slice & 0xffffffffn)).toString("latin1");
  }

  private answer(bytes: Buffer, at: number, size: number): number {
    const [place, length] = this.write(bytes);
    const memory = Buffer.from(this.exports.memory.buffer);
    memory.writeUInt32LE(place, at);
    memory.writeUInt32LE(length, size);
    return OK;
  }

  private getPairs(at: number, size: number): number {
    const parts = this.request.headers.flat().map((text) => Buffer.from(text, "latin1"));
    const head = Buffer.alloc(4 + parts.length * 4);
    head.writeUInt32LE(parts.length / 2);
    for (const [i, part] of parts.entries()) head.writeUInt32LE(part.length, 4 + i * 4);
    return this.answer(Buffer.concat([head, ...parts.flatMap((part) => [part, Buffer.of(0)])]), at, size);
  }

  private getProperty(path: number, length: number, at: number, size: number): number {
    const name = Buffer.from(this.exports.memory.buffer, path, length).toString().replaceAll("\0", ".");
    const value = this.request.properties?.[name];
    if (value === undefined) return NOT_FOUND;
    if (typeof value === "string") return this.answer(Buffer.from(value, "latin1"), at, size);
    const number = Buffer.alloc(8);
    number.writeBigInt64LE(BigInt(value));
    return this.answer(number, at, size);
  }
}
