/** External authorizers, as Envoy's ext_authz asks them: over HTTP and over gRPC. Both decide by the same rules. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { loadPackageDefinition, Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { listen } from "./upstream.ts";

/** A request as an authorizer received it. */
export interface Check {
  method: string;
  path: string;
  host: string;
  /** By name in lower case. */
  headers: Record<string, string>;
  body: string;
}

/** What it answers: for `never` it does not answer. */
export type Verdict =
  | { allow: true; headers?: Record<string, string>; toClient?: Record<string, string> }
  | { allow: false; status: number; body: string; headers?: Record<string, string> }
  | "never";

export interface Authorizer {
  port: number;
  /** What it was asked, in order. */
  readonly checks: Check[];
  close(): Promise<void>;
}

/** @param decide also receives what goes to the client in its `headers`, which HTTP does not distinguish */
export async function startHttpAuthorizer(decide: (check: Check) => Verdict): Promise<Authorizer> {
  const checks: Check[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const check: Check = {
        method: request.method ?? "",
        path: request.url ?? "",
        host: request.headers.host ?? "",
        headers: Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, [value ?? []].flat().join(",")]),
        ),
        body: Buffer.concat(chunks).toString("latin1"),
      };
      checks.push(check);
      const verdict = decide(check);
      if (verdict === "never") return;
      if (verdict.allow) response.writeHead(200, { ...verdict.headers, ...verdict.toClient }).end();
      else response.writeHead(verdict.status, verdict.headers).end(verdict.body);
    });
  });
  await listen(server);
  return {
    port: (server.address() as AddressInfo).port,
    checks,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** The parsed request of the protocol. */
interface CheckRequest {
  attributes: {
    request: { http: Pick<Check, "method" | "path" | "host" | "headers" | "body"> & { raw_body: Buffer } };
  };
}

export async function startGrpcAuthorizer(decide: (check: Check) => Verdict): Promise<Authorizer> {
  const checks: Check[] = [];
  const server = new Server();
  const options = (headers: Record<string, string> = {}) =>
    Object.entries(headers).map(([key, value]) => ({ header: { key, value } }));
  server.addService(authorizationService(), {
    Check: ({ request }: { request: CheckRequest }, callback: sendUnaryData<object>) => {
      const { method, path, host, headers, body, raw_body } = request.attributes.request.http;
      const check: Check = { method, path, host, headers, body: body || raw_body.toString("latin1") };
      checks.push(check);
      const verdict = decide(check);
      if (verdict === "never") return;
      if (verdict.allow) {
        const response_headers_to_add = options(verdict.toClient);
        callback(null, {
          status: { code: 0 },
          ok_response: { headers: options(verdict.headers), response_headers_to_add },
        });
      } else {
        const { status, body: text } = verdict;
        callback(null, {
          status: { code: 7 },
          denied_response: { status: { code: status }, headers: options(verdict.headers), body: text },
        });
      }
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    port,
    checks,
    close: async () => server.forceShutdown(),
  };
}

function authorizationService() {
  const file = fileURLToPath(new URL("ext-authz.proto", import.meta.url));
  const loaded = loadPackageDefinition(loadSync(file, { keepCase: true, defaults: true }));
  type Loaded = { envoy: { service: { auth: { v3: { Authorization: { service: object } } } } } };
  const { service } = (loaded as unknown as Loaded).envoy.service.auth.v3.Authorization;
  return service as Parameters<Server["addService"]>[0];
}
