/** The examples of the documentation: the page opens the first, and offers all. */
import askAnAuthorizer from "../../envoy/istio/ask-an-authorizer.yaml";
import authenticate from "../../envoy/istio/authenticate.yaml";
import exemptAPath from "../../envoy/istio/exempt-a-path.yaml";
import forwardTheToken from "../../envoy/istio/forward-the-token.yaml";
import onePrincipalTests from "../../envoy/istio/one-principal.test.yaml";
import onePrincipal from "../../envoy/istio/one-principal.yaml";
import protectAPath from "../../envoy/istio/protect-a-path.yaml";
import requireAToken from "../../envoy/istio/require-a-token.yaml";
import skipAPath from "../../envoy/istio/skip-a-path.yaml";
import tokenPositions from "../../envoy/istio/token-positions.yaml";
import type { Content } from "./content.ts";
import { EMPTY_DRAFT } from "./draft.ts";

export interface Example extends Content {
  title: string;
}

/** The examples by the names of their files. */
const TEXTS = {
  "one-principal": onePrincipal,
  authenticate,
  "require-a-token": requireAToken,
  "protect-a-path": protectAPath,
  "exempt-a-path": exemptAPath,
  "skip-a-path": skipAPath,
  "token-positions": tokenPositions,
  "forward-the-token": forwardTheToken,
  "ask-an-authorizer": askAnAuthorizer,
};

/** A request that the first example allows. */
const PRINCIPAL = "testing@secure.istio.io";

export const EXAMPLES: readonly Example[] = Object.entries(TEXTS).map(([name, text]) => ({
  title: name.replaceAll("-", " "),
  files: [
    { name: `${name}.yaml`, text },
    ...(name === "one-principal" ? [{ name: `${name}.test.yaml`, text: onePrincipalTests }] : []),
  ],
  ...(name === "one-principal" && {
    draft: {
      ...EMPTY_DRAFT,
      token: "made",
      made: { ...EMPTY_DRAFT.made, issuer: PRINCIPAL, claims: JSON.stringify({ sub: PRINCIPAL }, null, 2) },
    },
  }),
}));
