/** A gRPC service and its client (@grpc/grpc-js), with one method of each kind; messages are plain bytes. */
import type { EventEmitter } from "node:events";
import {
  type ChannelCredentials,
  Client,
  type Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type StatusObject,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";

const method = (
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<string, string> => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: (text) => Buffer.from(text),
  requestDeserialize: (bytes) => bytes.toString(),
  responseSerialize: (text) => Buffer.from(text),
  responseDeserialize: (bytes) => bytes.toString(),
});

const ECHO = {
  unary: method("Unary", false, false),
  server: method("ServerStream", false, true),
  client: method("ClientStream", true, false),
  both: method("BothStream", true, true),
} as const satisfies ServiceDefinition;

export interface GrpcUpstream {
  port: number;
  /** The metadata of every call so far. */
  readonly calls: Metadata[];
  close(): void;
}

/** A service that returns messages; it adds a trailer to every answer, and returns its own error for `fail`. */
export async function startGrpcUpstream(
  credentials = ServerCredentials.createInsecure(),
): Promise<GrpcUpstream> {
  const server = new Server();
  const calls: Metadata[] = [];
  const trailer = (metadata: Metadata): Metadata => {
    calls.push(metadata);
    const trailers = metadata.clone();
    for (const name of Object.keys(trailers.getMap())) trailers.remove(name);
    trailers.set("x-trailer", "from the service");
    return trailers;
  };
  server.addService(ECHO, {
    unary: ({ request, metadata }: ServerUnaryCall<string, string>, callback: sendUnaryData<string>) => {
      const trailers = trailer(metadata);
      if (request === "fail")
        callback({ code: status.ALREADY_EXISTS, details: "so it is", metadata: trailers });
      else callback(null, request, trailers);
    },
    server: (call: ServerWritableStream<string, string>) => {
      const trailers = trailer(call.metadata);
      for (const word of call.request.split(" ")) call.write(word);
      call.end(trailers);
    },
    client: (call: ServerReadableStream<string, string>, callback: sendUnaryData<string>) => {
      const trailers = trailer(call.metadata);
      const words: string[] = [];
      call.on("data", (word: string) => words.push(word));
      call.on("end", () => callback(null, words.join(" "), trailers));
    },
    both: (call: ServerDuplexStream<string, string>) => {
      const trailers = trailer(call.metadata);
      call.on("data", (word: string) => call.write(word));
      call.on("end", () => call.end(trailers));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { port, calls, close: () => server.forceShutdown() };
}

/** The result of a call. */
export interface GrpcAnswer {
  messages: string[];
  code: number;
  details: string;
  trailers: Record<string, unknown>;
}

export class GrpcClient {
  private readonly client: Client;

  constructor(address: string, credentials: ChannelCredentials) {
    this.client = new Client(address, credentials);
  }

  unary(text: string, metadata: Metadata): Promise<GrpcAnswer> {
    const { path, requestSerialize, responseDeserialize } = ECHO.unary;
    let answer: string | undefined;
    const call = this.client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      text,
      metadata,
      (_error, value) => {
        answer = value;
      },
    );
    return ended(call, () => (answer === undefined ? [] : [answer]));
  }

  serverStream(text: string, metadata: Metadata): Promise<GrpcAnswer> {
    const { path, requestSerialize, responseDeserialize } = ECHO.server;
    const call = this.client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      text,
      metadata,
    );
    return ended(call);
  }

  clientStream(words: readonly string[], metadata: Metadata): Promise<GrpcAnswer> {
    const { path, requestSerialize, responseDeserialize } = ECHO.client;
    let answer: string | undefined;
    const call = this.client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
      (_error, value) => {
        answer = value;
      },
    );
    for (const word of words) call.write(word);
    call.end();
    return ended(call, () => (answer === undefined ? [] : [answer]));
  }

  /** Sends each word only after the previous one has been returned. */
  inTurns(words: readonly string[], metadata: Metadata): Promise<GrpcAnswer> {
    const { path, requestSerialize, responseDeserialize } = ECHO.both;
    const call = this.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const rest = [...words];
    const next = () => {
      const word = rest.shift();
      if (word === undefined) call.end();
      else call.write(word);
    };
    call.on("data", next);
    next();
    return ended(call);
  }

  close(): void {
    this.client.close();
  }
}

/** The result of a call, when it is over. */
function ended(call: EventEmitter, unary?: () => string[]): Promise<GrpcAnswer> {
  return new Promise((resolve) => {
    const streamed: string[] = [];
    if (unary === undefined) call.on("data", (text: string) => streamed.push(text));
    // The status reports it too.
    call.on("error", () => {});
    call.on("status", ({ code, details, metadata }: StatusObject) => {
      setImmediate(() =>
        resolve({ messages: unary?.() ?? streamed, code, details, trailers: metadata.getMap() }),
      );
    });
  });
}
