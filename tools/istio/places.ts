/** The fields of policies and the objects that they belong in. */

/** Where each field belongs: shown if it is elsewhere. */
export const PLACES: Record<string, string> = {
  ...places("spec", ["selector", "targetRefs"]),
  ...places("spec of a RequestAuthentication", ["jwtRules"]),
  ...places("spec of an AuthorizationPolicy", ["rules", "action", "provider"]),
  ...places("spec of a TokenPolicy", [
    "issuers",
    "tokenTypes",
    "requireType",
    "requiredClaims",
    "maxLifetime",
    "clockSkew",
  ]),
  ...places("spec.selector", ["matchLabels"]),
  ...places("spec.jwtRules[]", [
    "issuer",
    "audiences",
    "jwksUri",
    "jwks",
    "fromHeaders",
    "fromParams",
    "fromCookies",
    "outputPayloadToHeader",
    "outputClaimToHeaders",
    "forwardOriginalToken",
    "timeout",
    "spaceDelimitedClaims",
    "presence",
  ]),
  ...places("spec.rules[]", ["from", "to", "when"]),
  ...places("spec.rules[].from[]", ["source"]),
  ...places("spec.rules[].to[]", ["operation"]),
  ...places("spec.rules[].from[].source", [
    ...withNegation("principals", "requestPrincipals", "namespaces", "serviceAccounts", "trustDomains"),
    ...withNegation("ipBlocks", "remoteIpBlocks"),
  ]),
  ...places("spec.rules[].to[].operation", withNegation("hosts", "ports", "methods", "paths")),
  ...places("spec.rules[].when[]", ["key", "values", "notValues"]),
};

function places(place: string, names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, place]));
}

function withNegation(...names: string[]): string[] {
  return names.flatMap((name) => [name, `not${name[0]?.toUpperCase()}${name.slice(1)}`]);
}
