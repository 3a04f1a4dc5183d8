/** The console's form: reads it as answers, and reports the fault of each field. */
import { InvalidValue, parseLabels } from "../values.ts";
import {
  faultOf,
  faultOfIssuer,
  faultOfIssuerName,
  faultOfLocation,
  faultOfMatch,
  faultOfName,
  faultOfText,
  isDiscoverable,
  parseClaim,
  parseClaimHeader,
  parseMethod,
} from "./checks.ts";
import { type KeySet, readPastedKeys } from "./keys.ts";
import type { Answers, Issuer, Scope, TokenLocation } from "./resources.ts";

/** Fields as they are typed. Lists have commas, spaces or lines between their words. */
export interface Form {
  issuer: string;
  /** Where the keys come from: made for a trial, pasted, at a URL, or found by the issuer's discovery document. */
  keys: "trial" | "pasted" | "uri" | "discovery";
  pasted: string;
  jwksUri: string;
  audiences: string;
  /** Empty: `Authorization: Bearer`. The prefix is without the space after it. */
  locations: { kind: TokenLocation["kind"]; name: string; prefix: string }[];
  scopes: string;
  /** `NAME=VALUE`, one on each line. */
  claims: string;
  forward: boolean;
  payloadHeader: string;
  /** `HEADER=CLAIM`, one on each line. */
  claimHeaders: string;
  scope: Scope;
  paths: string;
  hosts: string;
  methods: string;
  name: string;
  namespace: string;
  /** What the policies are for: all workloads of the namespace, those of labels, or a Gateway. */
  target: "all" | "labels" | "gateway";
  labels: string;
  gateway: string;
}

/** Faults, by the names of fields; of the token's locations by `locations.0` and so on. */
export type Faults = Record<string, string>;

/** A form as it was read. */
export interface ReadForm {
  /** Empty if there are answers. */
  faults: Faults;
  /** Remarks about pasted keys that are not faults. */
  notes: string[];
  answers?: Answers;
}

/** @param trialKeys the key set that was made for a trial; absent: none yet */
export function readForm(form: Form, trialKeys: string | undefined): ReadForm {
  const faults: Faults = {};
  /** Keeps a fault, if there is one. */
  const check = (field: string, fault: string | undefined) => {
    if (fault !== undefined) faults[field] = fault;
  };
  const issuer = form.issuer.trim();
  check("issuer", faultOfIssuerName(issuer));
  const pasted = form.keys === "pasted" ? readPasted(form.pasted) : undefined;
  const keys = keysOf(form, trialKeys, pasted);
  check(...faultOfKeys(form, issuer, pasted));
  const audiences = wordsOf(form.audiences);
  check("audiences", faultOfIssuer({ audiences }));
  const locations = form.locations.map(locationOf);
  for (const [index, location] of locations.entries()) check(`locations.${index}`, faultOfLocation(location));
  const scopes = wordsOf(form.scopes);
  check("scopes", faultOf({ scopes }));
  const claims = readEach(form.claims, parseClaim, (fault) => check("claims", fault));
  check("claims", faultOf({ claims }) ?? faults["claims"]);
  const payloadHeader = form.payloadHeader.trim();
  check("payloadHeader", payloadHeader === "" ? undefined : faultOf({ payloadHeader }));
  const claimHeaders = readEach(form.claimHeaders, parseClaimHeader, (fault) => check("claimHeaders", fault));
  check("claimHeaders", faultOf({ claimHeaders }) ?? faults["claimHeaders"]);
  const match = matchOf(form);
  if (form.scope !== "all") {
    for (const [field, values] of Object.entries(match))
      check(field, faultOfMatch(form.scope, { [field]: values }));
    const isEmpty = Object.values(match).every((values) => values.length === 0);
    if (isEmpty) check("match", "Name a path, a host or a method.");
  }
  const name = form.name.trim();
  check("name", faultOfName(name));
  const namespace = form.namespace.trim();
  check("namespace", namespace === "" ? undefined : faultOfName(namespace));
  const target = targetOf(form, check);
  const notes = (pasted?.problems ?? []).filter(({ severity }) => severity !== "error");
  const isRight = Object.keys(faults).length === 0 && keys !== undefined;
  return {
    faults,
    notes: notes.map(({ message }) => message),
    ...(isRight && {
      answers: {
        name,
        ...(namespace !== "" && { namespace }),
        ...target,
        issuers: [{ issuer, audiences, keys, locations }],
        forward: form.forward,
        ...(payloadHeader !== "" && { payloadHeader }),
        claimHeaders,
        scope: form.scope,
        match: form.scope === "all" ? { paths: [], hosts: [], methods: [] } : match,
        scopes,
        claims,
      },
    }),
  };
}

/** @returns undefined if nothing was pasted yet */
function readPasted(text: string): KeySet | undefined {
  return text.trim() === "" ? undefined : readPastedKeys(text);
}

function keysOf(
  { keys, jwksUri }: Form,
  trial: string | undefined,
  pasted: KeySet | undefined,
): Issuer["keys"] | undefined {
  if (keys === "discovery") return {};
  if (keys === "uri") return { jwksUri: jwksUri.trim() };
  const jwks = keys === "trial" ? trial : pasted?.jwks;
  return jwks === undefined ? undefined : { jwks };
}

/** The field with the source of the keys, and its fault. */
function faultOfKeys(
  { keys, jwksUri }: Form,
  issuer: string,
  pasted: KeySet | undefined,
): [field: string, fault: string | undefined] {
  if (keys === "uri") return ["jwksUri", faultOfIssuer({ keys: { jwksUri: jwksUri.trim() } })];
  if (keys === "pasted") {
    const nothing = "Paste a key set (JWKS), a public key in PEM, or a certificate.";
    if (pasted === undefined) return ["pasted", nothing];
    const errors = pasted.problems.filter(({ severity }) => severity === "error");
    return ["pasted", pasted.jwks === undefined ? (errors[0]?.message ?? nothing) : undefined];
  }
  const isFound = keys !== "discovery" || isDiscoverable(issuer);
  return ["keys", isFound ? undefined : "Only an issuer that is an https:// URL has a discovery document."];
}

function locationOf({ kind, name, prefix }: Form["locations"][number]): TokenLocation {
  const hasPrefix = kind === "header" && prefix.trim() !== "";
  return { kind, name: name.trim(), ...(hasPrefix && { prefix: `${prefix.trim()} ` }) };
}

function matchOf({ paths, hosts, methods }: Form): Answers["match"] {
  return { paths: wordsOf(paths), hosts: wordsOf(hosts), methods: wordsOf(methods).map(parseMethod) };
}

function targetOf(
  { target, labels, gateway }: Form,
  check: (field: string, fault: string | undefined) => void,
): Pick<Answers, "labels" | "gateway"> {
  if (target === "gateway") {
    check("gateway", faultOfName(gateway.trim()));
    return { gateway: gateway.trim() };
  }
  if (target === "all") return {};
  const text = wordsOf(labels).join(",");
  const fault = faultOfText(parseLabels, text);
  check("labels", fault ?? faultOf({ labels: parseLabels(text) }));
  return fault === undefined ? { labels: parseLabels(text) } : {};
}

/** The values of a field with one on each line; of unreadable lines, the last fault is reported. */
function readEach<T>(text: string, parse: (line: string) => T, tell: (fault: string) => void): T[] {
  return text.split("\n").flatMap((line) => {
    if (line.trim() === "") return [];
    try {
      return [parse(line.trim())];
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      tell(error.message);
      return [];
    }
  });
}

function wordsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}
