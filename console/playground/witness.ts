/** The request of a difference in the form, so that the answer and its steps can be looked at. */
import { readable } from "../../tools/host/bytes.ts";
import { DEFAULT_LISTENER } from "../../tools/host/http-connection-manager.ts";
import { formatAddress } from "../../tools/host/stream-info.ts";
import type { WitnessToken } from "../../tools/prove/witness.ts";
import type { ChangedClass } from "../engine/compare.ts";
import { type Draft, EMPTY_DRAFT, type Place } from "./draft.ts";

/**
 * @param setting the form's: the workload stays as it is
 * @returns undefined if the form has no such request: it has one token at most, and speaks HTTP/1.1
 */
export function draftOf({ witness, at }: ChangedClass, setting: Draft["setting"]): Draft | undefined {
  const { request, listener, tokens } = witness;
  const [token, second] = tokens;
  if (second !== undefined || request.protocol !== "HTTP/1.1") return undefined;
  const { ip, port } = listener.address;
  const isUsual = ip === DEFAULT_LISTENER.address.ip && port === DEFAULT_LISTENER.address.port;
  const place = token && placeOf(token);
  const headers = request.headers.filter(([name]) => name !== headerOf(token));
  return {
    ...EMPTY_DRAFT,
    method: request.method,
    path: readable(place?.kind === "param" ? request.path.replace(/\?.*/s, "") : request.path),
    host: readable(request.authority),
    peer: request.peer.ip,
    headers: headers.map(([name, value]) => `${name}: ${readable(value)}`).join("\n"),
    sni: request.tls?.serverName ?? "",
    client: (request.tls?.peer?.uriSans ?? []).join(" "),
    setting: {
      ...setting,
      mode: listener.mode,
      listen: isUsual ? "" : formatAddress(listener.address),
      at,
    },
    ...(place && { place }),
    ...tokenOf(token),
  };
}

/** The header that brings a token. */
function headerOf(token: WitnessToken | undefined): string | undefined {
  if (token === undefined || token.place.kind === "parameter") return undefined;
  return token.place.kind === "cookie" ? "cookie" : token.place.name;
}

function placeOf({ place: { kind, name, prefix } }: WitnessToken): Place {
  return { kind: kind === "parameter" ? "param" : kind, name, prefix: readable(prefix) };
}

function tokenOf(token: WitnessToken | undefined): Partial<Draft> {
  if (token === undefined) return {};
  if (token.claims === undefined) return { token: "pasted", pasted: "not-a-token" };
  const { iss, ...claims } = token.claims;
  const made = {
    ...EMPTY_DRAFT.made,
    issuer: typeof iss === "string" ? iss : "",
    claims: JSON.stringify(claims, null, 2),
    isTrusted: token.signedBy === "a key of the policies",
  };
  return { token: "made", made };
}
