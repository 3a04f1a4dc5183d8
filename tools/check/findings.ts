/** The findings of `jwtgate check`: each kind with its code, its severity, why it matters and what to do. */
import { byPosition, type Position } from "../diagnostics.ts";

export const SEVERITIES = ["error", "warning", "info"] as const;
/** How much a finding matters. */
export type Severity = (typeof SEVERITIES)[number];

/** A kind of finding. */
export interface Kind {
  severity: Severity;
  /** The finding, in a few words. */
  title: string;
  /** Why it matters. */
  reason: string;
  /** What to do, in general. */
  remedy: string;
}

/** By code. Codes never change their meaning; docs/check.md is generated from here. */
export const KINDS = {
  JG000: {
    severity: "warning",
    title: "The compiler warns",
    reason: "A review should show the compiler's warnings too.",
    remedy: "Follow the message.",
  },
  JG001: {
    severity: "error",
    title: "No policy requires a token",
    reason:
      "A RequestAuthentication refuses bad tokens and lets requests without any pass. Only an AuthorizationPolicy, or presence: REQUIRED, makes a token necessary.",
    remedy: "Add an AuthorizationPolicy with action ALLOW and requestPrincipals, for what needs a token.",
  },
  JG002: {
    severity: "warning",
    title: "Audiences are not checked",
    reason: "Without audiences, tokens that the issuer made for other services are accepted too.",
    remedy: "Write the service's own name under audiences.",
  },
  JG003: {
    severity: "warning",
    title: "The policies contain a shared secret",
    reason:
      "Anyone who can read the YAML, the WasmPlugin or Envoy's /config_dump can make tokens with the secret.",
    remedy: "Let the issuer sign with a private key (ES256, RS256, EdDSA) and put only its public key here.",
  },
  JG004: {
    severity: "error",
    title: "The policies contain a private key",
    reason: "Verifying needs only the public key. Anyone who can read this file can make tokens.",
    remedy: "Remove the private members (`jwtgate jwk FILE`), and replace the key: it is disclosed.",
  },
  JG005: {
    severity: "error",
    title: "An HMAC secret is too short",
    reason:
      "RFC 7518 §3.2 requires a secret at least as long as the hash. An attacker who has one token can guess a shorter one offline.",
    remedy: "Make a random secret of 32 bytes for HS256, 48 for HS384, 64 for HS512.",
  },
  JG006: {
    severity: "error",
    title: "An RSA key is weak",
    reason: "RSA keys under 2048 bits can be broken (RFC 7518 §3.3), so the filter does not use them.",
    remedy: "Let the issuer use an RSA key of 3072 bits, or ES256.",
  },
  JG007: {
    severity: "info",
    title: "An RSA key has less than 3072 bits",
    reason: "NIST SP 800-57 approves 2048 bits only until 2030.",
    remedy: "Use 3072 bits, or ES256, when you next change the key.",
  },
  JG008: {
    severity: "warning",
    title: "The issuer is not checked",
    reason: "Without issuer, every token that one of the keys signed is accepted, from any issuer.",
    remedy: "Write the issuer, exactly as in the tokens' iss.",
  },
  JG009: {
    severity: "warning",
    title: "Keys are fetched without TLS",
    reason: "An attacker on the network between Envoy and the server can replace the keys, and make tokens.",
    remedy: "Write https://, unless the mesh encrypts this connection.",
  },
  JG010: {
    severity: "info",
    title: "Tokens are taken from the query",
    reason:
      "URLs stay in logs, histories and Referer headers, and tokens with them (RFC 6750 §2.3, RFC 9700). A rule without fromHeaders, fromParams and fromCookies also takes tokens from the parameter access_token.",
    remedy: 'Take tokens from a header or a cookie: fromHeaders: [{name: Authorization, prefix: "Bearer "}].',
  },
  JG011: {
    severity: "warning",
    title: "A key cannot be used",
    reason: "A key that is left out without a message causes an outage later.",
    remedy: "Remove the key, or correct it as the message describes.",
  },
  JG012: {
    severity: "warning",
    title: "Keys are fetched from the proxy's own machine",
    reason:
      "In a mesh, loopback is the proxy's own pod: Envoy's admin port and the application answer there, not a key server. The policy makes the proxy send requests to them.",
    remedy: "Name the host of the key server, or write the keys under jwks.",
  },
  JG013: {
    severity: "error",
    title: "An issuer has an asterisk",
    reason:
      "The issuer is compared with iss character by character. The issuer in tokens has no asterisk, so every token is refused.",
    remedy:
      "Write one entry of jwtRules for each issuer, each with the whole issuer exactly as in the tokens' iss.",
  },
  JG014: {
    severity: "warning",
    title: "A claim for a header has dots in its name",
    reason:
      "In outputClaimToHeaders a dot selects a member of an object, so a claim whose own name has dots is never found, and the header is never set. In conditions it is the opposite: request.auth.claims[a.b] is one name.",
    remedy:
      "Let the issuer write the claim under a name without dots, or read the claim from the payload that outputPayloadToHeader forwards.",
  },
  JG101: {
    severity: "error",
    title: "A request principal without a slash never matches",
    reason:
      "Principals are ISSUER/SUBJECT. Without a slash, the whole text is the issuer and the subject is empty. No principal has an empty subject.",
    remedy: "Write ISSUER/SUBJECT, or ISSUER/* for every subject.",
  },
  JG102: {
    severity: "error",
    title: "*/* matches no request principal",
    reason:
      "Only the first asterisk is a wildcard: */* means any issuer, and a subject that is literally an asterisk.",
    remedy: 'Write "*" for every principal.',
  },
  JG103: {
    severity: "error",
    title: "A URL without a path is split inside https://",
    reason:
      "A request principal is split at its last slash: https://idp* means the issuer `https:/` and subjects that begin with `idp`.",
    remedy: "Write the whole issuer and a subject: https://idp.example.com/*.",
  },
  JG104: {
    severity: "error",
    title: "A request principal has an issuer that no RequestAuthentication trusts",
    reason:
      "The issuer of a verified token is that of its RequestAuthentication, so the condition is never true.",
    remedy:
      "Write the issuer exactly as in the RequestAuthentication. After an issuer that ends in a slash, write a second slash: ISSUER//SUBJECT.",
  },
  JG105: {
    severity: "warning",
    title: "An asterisk in the middle is not a wildcard",
    reason: "Only one * at the beginning or at the end is a wildcard; any other is literal.",
    remedy: "Write a prefix (x*), a suffix (*x), or for paths a template ({*}, {**}).",
  },
  JG106: {
    severity: "error",
    title: "A claim that is never a string is compared",
    reason:
      "Conditions compare strings, and strings in lists. Numbers, booleans and objects match nothing, not even *.",
    remedy:
      "Compare a claim that is a string, select a member of the object ([a][b]), or let the service do the check.",
  },
  JG107: {
    severity: "warning",
    title: "A claim that may not be a string is compared as a string",
    reason: 'The boolean true and the number 1 are not the strings "true" and "1": they match nothing.',
    remedy: "Check the claim in a token of the issuer, and let the issuer write the value as a string.",
  },
  JG108: {
    severity: "error",
    title: "A value with a space is compared with one word of a list",
    reason:
      "scope, permission and spaceDelimitedClaims are split at spaces, and each word is compared separately.",
    remedy: "Write each word as a separate value, or as a separate condition if all are needed.",
  },
  JG109: {
    severity: "error",
    title: "No request has this method",
    reason: "Methods are case-sensitive, and Envoy refuses methods that it does not know, such as get.",
    remedy: "Write the method in capital letters.",
  },
  JG110: {
    severity: "error",
    title: "No request has this path",
    reason: "Policies see the normalised path without query and fragment; it begins with a slash.",
    remedy:
      "Write the path as it is after normalisation: /a/b, without ?, #, /../ and unnecessary % escapes.",
  },
  JG111: {
    severity: "error",
    title: "A condition excludes all its values",
    reason: "Each of the values is also a negated value, so the condition is never true.",
    remedy: "Remove the value from one of the two lists.",
  },
  JG112: {
    severity: "warning",
    title: "Dots in a claim's name do not select members of objects",
    reason:
      "request.auth.claims[a.b] is the claim whose name is a.b. A dot selects a member of an object only in outputClaimToHeaders.",
    remedy: "Write request.auth.claims[a][b].",
  },
  JG201: {
    severity: "warning",
    title: "A DENY rule needs a client certificate",
    reason:
      "Without mutual TLS there is no certificate, the condition is never true, and no request is denied.",
    remedy:
      "Make sure that the listener requires mutual TLS (--tls-client-ca, or STRICT PeerAuthentication), or deny by the negated condition.",
  },
  JG202: {
    severity: "warning",
    title: "An ALLOW rule excludes client certificates",
    reason:
      "Without mutual TLS there is no certificate, the negated condition is always true, and every request passes.",
    remedy: "Name the callers that are allowed, instead of those that are not.",
  },
  JG203: {
    severity: "warning",
    title: "A DENY rule is evaded by sending no token",
    reason: "Without a token no claim matches, the rule is not true, and no other policy requires a token.",
    remedy:
      "Require a token by an ALLOW policy, or deny by the negated condition (notValues, notRequestPrincipals).",
  },
  JG204: {
    severity: "warning",
    title: "Two paths differ only by a trailing slash or by case",
    reason:
      "/a, /a/ and /A are three paths for policies, and often one for the service: a client can evade one of the two rules.",
    remedy: "Write all spellings that the service accepts into both rules.",
  },
  JG205: {
    severity: "warning",
    title: "A DENY or CUSTOM rule on a path does not match its other spelling",
    reason: "Many services treat /a/ like /a, but policies compare paths exactly.",
    remedy: 'Name the paths below it too: paths: ["/a", "/a/*"].',
  },
  JG206: {
    severity: "warning",
    title: "An ALLOW rule is unreachable",
    reason: "A DENY rule matches every request that this rule matches, and DENY rules are evaluated first.",
    remedy: "Remove the rule, or narrow the DENY rule.",
  },
  JG207: {
    severity: "info",
    title: "A rule has no effect",
    reason: "Another rule of the same action matches every request that this one matches.",
    remedy: "Remove the rule, or suppress the finding with the reason for the rule.",
  },
  JG208: {
    severity: "warning",
    title: "Everything is allowed",
    reason: "A rule without conditions matches every request: all other ALLOW rules have no effect.",
    remedy: "Remove the policy, or name the callers and paths that are allowed.",
  },
  JG209: {
    severity: "warning",
    title: "A policy is a dry run",
    reason: "With istio.io/dry-run, matches of a policy are counted and logged, and no answer changes.",
    remedy: "Remove the annotation when the logs are as expected.",
  },
  JG210: {
    severity: "warning",
    title: "A host is compared without its port",
    reason: "The Host header may have a port (example.com:8080), and example.com does not match it.",
    remedy:
      'Write both: hosts: ["example.com", "example.com:*"]. With an asterisk at the beginning name each port: "*.example.com:443".',
  },
  JG211: {
    severity: "info",
    title: "A rule allows everything except what it names",
    reason: "The rule also allows what its author did not consider, such as other spellings of a path.",
    remedy: "Name what is allowed, or name what is not allowed in a DENY policy.",
  },
  JG212: {
    severity: "warning",
    title: "A rule requires only a header that clients can set",
    reason: "A client can send any header.",
    remedy:
      "Require a token, an address or a certificate too; trust only headers that outputClaimToHeaders writes.",
  },
  JG213: {
    severity: "warning",
    title: "A DENY or CUSTOM rule on a host does not match it with a dot at its end",
    reason:
      "example.com. is the same name and reaches the same service in many places, but example.com does not match it: Envoy and Istio keep the dot.",
    remedy: 'Write both: hosts: ["example.com", "example.com."], and the same with ports.',
  },
  JG214: {
    severity: "info",
    title: "There are too many rules to compare",
    reason: "Some rules that are unreachable or have no effect (JG206, JG207, JG215) are not found.",
    remedy: "Review one workload at a time, with --namespace and --labels.",
  },
  JG215: {
    severity: "warning",
    title: "A rule matches no request",
    reason:
      "Its conditions contradict each other, or no request can meet them: a path with a query, an issuer that no RequestAuthentication has, a claim that is never a string.",
    remedy: "Correct the conditions, or remove the rule.",
  },
  JG216: {
    severity: "warning",
    title: "An exemption is wider than what another rule protects",
    reason:
      "A rule asks for a token for a path, and every request for that path passes without one. Often a prefix matches more than was meant: /public* matches /publications too.",
    remedy:
      'Narrow the exemption, as in paths: ["/public", "/public/*"], or take the path out of the rule that asks for a token.',
  },
  JG301: {
    severity: "warning",
    title: "A suppression is not used",
    reason: "The suppressed finding is gone, or has moved. The suppression would hide a new finding there.",
    remedy: "Remove the suppression, or move it to the line of the finding.",
  },
  JG302: {
    severity: "warning",
    title: "A suppression cannot be read",
    reason: "It has no effect, because it has no reason, or its code does not exist.",
    remedy: "Write # jwtgate: ignore CODE because REASON.",
  },
} as const satisfies Record<string, Kind>;

/** Above this number, rules are not compared with each other, because that would take minutes. */
export const MAX_COMPARED_RULES = 5_000;
/** Above this number, rules are compared by their conditions alone, which finds less. */
export const MAX_PROVEN_RULES = 1_000;

export type Code = keyof typeof KINDS;

/** Orders findings by position. */
export function byPlace(a: Finding, b: Finding): number {
  return byPosition(a, b) || (a.code < b.code ? -1 : 1);
}

/** A finding of `jwtgate check` at one position. */
export interface Finding extends Position {
  code: Code;
  severity: Severity;
  /** What is wrong here; one line, without a full stop. */
  message: string;
  /** What to write instead: for this position if it is known, else in general. */
  remedy: string;
}

/** Collects findings. */
export class Findings {
  readonly list: Finding[] = [];

  /** @param remedy replaces the kind's own */
  add(
    code: Code,
    { file, line, column }: Position,
    message: string,
    remedy: string = KINDS[code].remedy,
  ): void {
    this.list.push({ code, severity: KINDS[code].severity, file, line, column, message, remedy });
  }
}
