/**
 * Requests with tokens of every kind to one host that has seen many, and to one that has seen none: both must say the
 * same as the model does (tests/model), and an identity is passed on only where a token for it came in.
 */
import { isDeepStrictEqual } from "node:util";
import type { Configuration } from "../../tools/config/schema.ts";
import type { Host, Outcome } from "../../tools/host/host.ts";
import {
  DEFAULT_LISTENER,
  DEFAULT_REQUEST,
  type DownstreamRequest,
} from "../../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { compare, type Expected, predict } from "../model/predict.ts";
import { configuration, KEYS, STRANGER } from "./configurations.ts";
import { mutateText } from "./mutate.ts";
import type { Random } from "./random.ts";
import { token } from "./tokens.ts";

const NOW = 1_800_000_000;
/** One request in this many is also sent to a new host, which takes the longest. */
const COMPARED = 3;

function request(random: Random, tokens: readonly string[]): DownstreamRequest {
  const one = (): string =>
    random.pick([
      () => random.pick(tokens),
      () => random.pick(tokens),
      () => mutateText(random, random.pick(tokens)),
      () => token(random, [...KEYS, STRANGER], NOW),
      () => random.bytes(random.below(60)),
      () => "",
    ])();
  const header = (): [string, string] =>
    random.pick<() => [string, string]>([
      () => ["authorization", `Bearer ${one()}`],
      () => ["authorization", random.pick(["Bearer", "Basic x", `bearer ${one()}`, `x, Bearer ${one()}`])],
      () => ["x-t", one()],
      () => ["cookie", random.pick([`session=${one()}`, `a=b; session="${one()}"; session=x`, "session"])],
      () => [random.pick(["x-sub", "x-a", "x-payload", "X-Sub"]), "forged"],
      () => ["x-h", random.bytes(random.below(30))],
      () => ["x-pad", "p".repeat(random.below(3000))],
      () => [random.pick(["origin", "access-control-request-method", "content-type"]), "application/grpc"],
    ])();
  const query = (): string =>
    random.pick([
      () => `access_token=${one()}`,
      () => "access_token",
      () => `access%5ftoken=${encodeURIComponent(one())}`,
      () => `a=${one()}`,
      () => mutateText(random, "a=b&access_token=c&d"),
    ])();
  const path = random.pick(["/", "/a", "/denied", "/x/1/y/z"]);
  const queries = random.list(0, 3, query).join("&");
  return {
    method: random.pick(["GET", "GET", "POST", "OPTIONS"]),
    authority: random.pick(["h.example", "localhost:80"]),
    path: queries === "" ? path : `${path}?${queries.replace(/[^\x21-\x7e]|#/g, "")}`,
    headers: random
      .list(0, 8, header)
      .map(([name, value]): [string, string] => [name, value.replace(/[\r\n\0]/g, "")]),
  };
}

/** What of an outcome must not depend on what came before. */
function answered({ answer, upstream }: Outcome): unknown {
  return { answer, upstream };
}

export async function fuzzRequests(module: WebAssembly.Module, random: Random, steps: number): Promise<void> {
  const own = configuration(random);
  const start = async (): Promise<Host> => {
    const host = await createNodeHost(module);
    host.clock.set(NOW * 1000);
    const { accepted, logs } = host.configure(own);
    if (!accepted) throw new Error(`refused: ${JSON.stringify({ own, logs })}`);
    return host;
  };
  const host = await start();
  /** Headers that the configuration writes. */
  const outputs = ["x-sub", "x-a", "x-payload"].filter((name) => JSON.stringify(own).includes(`"${name}"`));
  const tokens = random.list(4, 12, () => token(random, KEYS, NOW));
  for (let step = 0; step < steps; step++) {
    const sent = request(random, tokens);
    const fault = (what: string, ...details: unknown[]): Error =>
      new Error(`${what}: ${JSON.stringify({ sent, own, details })}`);
    const { outcome } = host.send(sent);
    host.logs.length = 0;
    if (outcome === undefined) throw fault("a request waits");
    if (outcome.trapped) throw fault("the module failed", outcome.trapped);
    checkIdentity(sent, outcome, outputs, fault);
    const differences = compare(predicted(own, sent), outcome);
    if (differences.length > 0) throw fault("the model differs", ...differences);
    if (!random.oneIn(COMPARED)) continue;
    const fresh = (await start()).send(sent).outcome as Outcome;
    if (!isDeepStrictEqual(answered(fresh), answered(outcome))) {
      throw fault("what came before made a difference", answered(outcome), answered(fresh));
    }
  }
}

/** What the model says of the request. */
function predicted(own: object, request: DownstreamRequest): Expected {
  const documents = new Map();
  const listener = DEFAULT_LISTENER;
  const judged = { configuration: own as Configuration, documents, listener, now: NOW * 1000 };
  return predict(judged, { ...DEFAULT_REQUEST, ...request });
}

/** Whose identity is passed on has sent a token that says so. */
function checkIdentity(
  sent: DownstreamRequest,
  { upstream }: Outcome,
  outputs: readonly string[],
  fault: (what: string) => Error,
): void {
  for (const [name, value] of upstream?.headers ?? []) {
    if (name === "x-sub" && !subjects(sent).has(value)) throw fault(`a forged ${name}`);
    if (value === "forged" && outputs.includes(name)) throw fault(`a forged ${name}`);
  }
}

/** The subjects of every token in the request that one of the known keys has signed, as far as this can be seen. */
function subjects({ path = "", headers = [] }: DownstreamRequest): Set<string> {
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const text = [path, decoded, ...headers.map(([, value]) => value)].join("\n");
  const found = new Set<string>();
  for (const payload of text.matchAll(/(?<=\.)[\w-]+(?=\.)/g)) {
    try {
      const { sub } = JSON.parse(Buffer.from(payload[0], "base64url").toString()) as { sub?: unknown };
      found.add(Buffer.from(String(sub)).toString("latin1").trim());
    } catch {
      // A text that is not a payload names no subject.
    }
  }
  return found;
}
