/**
 * The load generator: HTTP/1.1 over raw sockets that stay open, with requests prepared as bytes. Of an answer it reads
 * only what distinguishes a pass from anything else: every answer must have the length of the first and begin with the
 * same bytes.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface LoadOptions {
  port: number;
  /** How many connections are open, each with one request at a time. */
  connections: number;
}

/** Connections to one server, for one series of requests after another. */
export class Load {
  private pending: readonly Buffer[] = [];
  private next = 0;
  private answered = 0;
  private finish: () => void = () => {};
  private fail: (reason: Error) => void = () => {};

  private constructor(private readonly lanes: Lane[]) {}

  /** @param answer what every answer must look like, except for its date */
  static async connect({ port, connections }: LoadOptions, answer: Buffer): Promise<Load> {
    const lanes: Lane[] = [];
    const load = new Load(lanes);
    for (let i = 0; i < connections; i++) lanes.push(await Lane.connect(port, answer, load));
    return load;
  }

  /** Sends all requests and waits for all answers. One series at a time. */
  async send(requests: readonly Buffer[]): Promise<void> {
    this.pending = requests;
    this.next = 0;
    this.answered = 0;
    await new Promise<void>((resolve, reject) => {
      this.finish = resolve;
      this.fail = reject;
      for (const lane of this.lanes) this.feed(lane);
    });
  }

  /** Sends the next request on a connection. */
  private feed(lane: Lane): void {
    const request = this.pending[this.next];
    if (request === undefined) return;
    this.next++;
    lane.write(request);
  }

  /** Called when a connection has received its answer. */
  took(lane: Lane): void {
    this.answered++;
    this.feed(lane);
    if (this.answered === this.pending.length) this.finish();
  }

  broke(reason: Error): void {
    this.fail(reason);
  }

  close(): void {
    for (const lane of this.lanes) lane.close();
  }
}

/** One connection. */
class Lane {
  /** Bytes received of the current answer. */
  private received = 0;

  private constructor(
    private readonly socket: Socket,
    private readonly answer: Buffer,
    private readonly load: Load,
  ) {}

  static async connect(port: number, answer: Buffer, load: Load): Promise<Lane> {
    let lane: Lane | undefined;
    const socket = connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer: Buffer.alloc(64 * 1024),
        callback: (length: number, buffer: Uint8Array) => {
          lane?.read(length, buffer);
          return true;
        },
      },
    });
    await once(socket, "connect");
    lane = new Lane(socket, answer, load);
    socket.on("error", (error) => load.broke(error));
    socket.on("end", () => load.broke(new Error("Envoy closed a connection")));
    return lane;
  }

  write(request: Buffer): void {
    this.socket.write(request);
  }

  private read(length: number, buffer: Uint8Array): void {
    if (!this.isExpected(length, buffer)) {
      this.load.broke(new Error(`an unexpected answer: ${text(buffer.subarray(0, length))}`));
      return;
    }
    this.received += length;
    if (this.received < this.answer.length) return;
    this.received = 0;
    this.load.took(this);
  }

  /** Whether it equals the first answer up to the status, and is not longer. */
  private isExpected(length: number, buffer: Uint8Array): boolean {
    for (let i = 0; i < length && this.received + i < STATUS_LENGTH; i++) {
      if (buffer[i] !== this.answer[this.received + i]) return false;
    }
    return this.received + length <= this.answer.length;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** `HTTP/1.1 200` */
const STATUS_LENGTH = 12;

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 300)).toString("latin1");
}

/** Sends one request on its own connection. @returns the whole answer, which must have a content-length */
export async function ask(port: number, request: Buffer): Promise<Buffer> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  try {
    await once(socket, "connect");
    socket.write(request);
    let answer = Buffer.alloc(0);
    for await (const chunk of socket) {
      answer = Buffer.concat([answer, chunk as Buffer]);
      const head = answer.indexOf("\r\n\r\n");
      const length = /\r\ncontent-length: (\d+)\r\n/.exec(answer.toString("latin1", 0, head + 2))?.[1];
      if (head >= 0 && answer.length >= head + 4 + Number(length)) return answer;
    }
    throw new Error(`the answer ended early: ${text(answer)}`);
  } finally {
    socket.destroy();
  }
}
