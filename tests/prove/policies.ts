/** Policies for tests, from their parts. */
import { type CompileResult, compile, INSPECTED } from "../../tools/compile.ts";
import { type Comparison, compare } from "../../tools/prove/diff.ts";
import { MODULE } from "./random.ts";

/** A RequestAuthentication. @param jwtRules in YAML's flow style */
export function authentication(jwtRules: string, name = "tokens"): string {
  return resource("RequestAuthentication", name, `{jwtRules: ${jwtRules}}`);
}

/** One issuer, with its keys at a URL. @param more fields of its rule, each with a comma before */
export function issuer(more = "", name = "a"): string {
  return `{issuer: "https://${name}.example", jwksUri: "https://${name}.example/jwks"${more}}`;
}

/** An AuthorizationPolicy. @param rules in YAML's flow style */
export function policy(action: string, rules: string, name = "policy", metadata = ""): string {
  return resource("AuthorizationPolicy", name, `{action: ${action}, rules: ${rules}}`, metadata);
}

/** A TokenPolicy for the rules of `authentication`. */
export function tokenPolicy(spec: string): string {
  const targets = "targetRefs: [{kind: RequestAuthentication, name: tokens}]";
  return `---\napiVersion: jwtgate.dev/v1alpha1\nkind: TokenPolicy\nmetadata: {name: types, namespace: shop}\nspec: {${targets}, ${spec}}\n`;
}

function resource(kind: string, name: string, spec: string, metadata = ""): string {
  return `---\napiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: shop${metadata}}\nspec: ${spec}\n`;
}

export function compiledYaml(text: string, name = "p.yaml"): CompileResult {
  const result = compile([{ name, text }], { target: INSPECTED });
  if (result.configuration === undefined) throw new Error(JSON.stringify(result.diagnostics));
  return result;
}

export function difference(old: string, fresh: string): Promise<Comparison> {
  return compare(compiledYaml(old, "old.yaml"), compiledYaml(fresh, "new.yaml"), { module: MODULE });
}

/** Each class in a line: what changes, and the request that shows it. */
export async function lines(old: string, fresh: string): Promise<string[]> {
  const { classes, undecided } = await difference(old, fresh);
  const shown = classes.map(({ change, witness, old: before, new: after }) => {
    const { method, path, authority, headers } = witness.request;
    const places = new Set(witness.tokens.map(({ place }) => place.name));
    const others = headers.filter(([name]) => !places.has(name)).map(([name, value]) => ` ${name}=${value}`);
    const claims = witness.tokens.map((token) => {
      const { exp, ...rest } = token.claims ?? {};
      return ` ${token.place.name}:${JSON.stringify(rest)}`;
    });
    const port = witness.listener.address.port === 8080 ? "" : ` port=${witness.listener.address.port}`;
    const peer = witness.request.peer.ip === "127.0.0.1" ? "" : ` peer=${witness.request.peer.ip}`;
    const request = `${method} ${authority}${path.replace(/\?.*/s, "")}${others.join("")}${peer}${port}${claims.join("")}`;
    return `${change} ${before.status}>${after.status} ${request}`;
  });
  return [...shown, ...undecided.map((reason) => `undecided ${reason}`)];
}
