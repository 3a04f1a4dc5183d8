/**
 * Envoy Gateway's SecurityPolicy (gateway.envoyproxy.io/v1alpha1): its `jwt` as the jwt_authn filter that Envoy Gateway
 * generates (envoyproxy/gateway internal/xds/translator/jwt.go), and its `authorization` as conditions
 * (authorization.go), of which the first that holds decides.
 */
import type { Position } from "../diagnostics.ts";
import { parseCidr } from "../istio/cidr.ts";
import { Fields } from "../istio/fields.ts";
import { quote, type Report } from "../istio/report.ts";
import type { Located, MapNode, YamlNode } from "../istio/yaml.ts";
import { fieldOf } from "./chains.ts";
import { type Claims, listMatcher, textMatcher } from "./claims.ts";
import { headerCondition, pathCondition } from "./conditions.ts";
import { type Atom, all, any, type Expression, not, without } from "./expression.ts";

const API = /^gateway\.envoyproxy\.io\//;

/** A SecurityPolicy, and what it applies to. */
export interface SecurityPolicy {
  at: Position;
  name: string;
  namespace?: string;
  /** The configuration of jwt_authn. */
  jwtAuthn?: MapNode;
  authorization?: { at: Position; read: (claims: Claims) => FirstMatch };
  targets: Target[];
}

export interface Target {
  at: Position;
  kind: string;
  name: string;
  /** A listener or a rule of it. */
  section?: string;
}

/** Rules in order; the first that holds decides. */
export interface FirstMatch {
  rules: { action: "Allow" | "Deny"; condition: Expression }[];
  otherwise: "Allow" | "Deny";
}

/** Other parts of a SecurityPolicy, and their effect. */
const OTHERS: Record<string, string> = {
  apiKeyAuth: "asks for API keys",
  basicAuth: "asks for passwords",
  csrf: "refuses requests from other sites",
  extAuth: "asks an external authorizer",
  oidc: "lets people log in",
};

/** Documents, including those in a List. */
export function* resourcesOf(documents: readonly YamlNode[]): Generator<YamlNode> {
  for (const document of documents) {
    const items = fieldOf(document, "items");
    const kind = textOf(fieldOf(document, "kind"));
    if (items?.kind === "list" && kind?.endsWith("List")) yield* resourcesOf(items.items);
    else yield document;
  }
}

/** The SecurityPolicies among resources. ConfigMaps among them can contain their keys. */
export function readSecurityPolicies(resources: readonly YamlNode[], report: Report): SecurityPolicy[] {
  const keys = new Map<string, YamlNode>();
  for (const resource of resources) {
    const name = textOf(fieldOf(fieldOf(resource, "metadata"), "name"));
    if (textOf(fieldOf(resource, "kind")) === "ConfigMap" && name !== undefined) keys.set(name, resource);
  }
  return resources.flatMap((resource) => {
    const isPolicy =
      textOf(fieldOf(resource, "kind")) === "SecurityPolicy" &&
      API.test(textOf(fieldOf(resource, "apiVersion")) ?? "");
    return isPolicy ? (new PolicyReader(keys, report).read(resource) ?? []) : [];
  });
}

function textOf(node: YamlNode | undefined): string | undefined {
  return node?.kind === "string" ? node.value : undefined;
}

class PolicyReader {
  constructor(
    private readonly configMaps: ReadonlyMap<string, YamlNode>,
    private readonly report: Report,
  ) {}

  read(resource: YamlNode): SecurityPolicy | undefined {
    const metadata = fieldOf(resource, "metadata");
    const name = textOf(fieldOf(metadata, "name"));
    const namespace = textOf(fieldOf(metadata, "namespace"));
    const spec = fieldOf(resource, "spec");
    if (spec === undefined || name === undefined) {
      this.report.error(resource.at, "a SecurityPolicy needs metadata.name and a spec");
      return undefined;
    }
    const fields = Fields.of(spec, "spec", this.report);
    if (fields === undefined) return undefined;
    const jwt = fields.object("jwt");
    const authorization = fields.object("authorization");
    const targets = this.targets(fields);
    for (const [other, effect] of Object.entries(OTHERS)) {
      if (!fields.has(other)) continue;
      fields.ignore(other);
      this.report.error(
        fields.keyAt(other),
        `${other} ${effect}, and is not imported: keep it in a separate SecurityPolicy, and remove it from this file`,
      );
    }
    if (fields.has("cors")) {
      this.report.warning(
        fields.keyAt("cors"),
        "cors is not imported: keep it in a separate SecurityPolicy, or browsers of other origins get no answer",
      );
    }
    if (fields.has("mergeType")) {
      this.report.error(
        fields.keyAt("mergeType"),
        "this policy is merged into that of the Gateway: write both as one policy without mergeType",
      );
    }
    fields.ignore("cors", "mergeType");
    fields.finish();
    const filter = jwt && this.jwtAuthn(jwt);
    return {
      at: resource.at,
      name,
      ...(namespace !== undefined && { namespace }),
      ...(filter && { jwtAuthn: filter }),
      ...(authorization && {
        authorization: { at: authorization.at, read: (claims) => this.authorization(authorization, claims) },
      }),
      targets,
    };
  }

  private targets(fields: Fields): Target[] {
    const single = fields.object("targetRef");
    const refs = [...(single ? [single] : []), ...fields.objects("targetRefs")];
    const targets = refs.map((ref) => {
      const [kind, name, section] = [ref.string("kind"), ref.string("name"), ref.string("sectionName")];
      ref.ignore("group");
      ref.finish();
      return {
        at: ref.at,
        kind: kind?.value ?? "",
        name: name?.value ?? "",
        ...(section && { section: section.value }),
      };
    });
    const selectors = fields.objects("targetSelectors").map((selector) => {
      const kind = selector.string("kind")?.value ?? "";
      return { at: selector.at, kind, name: "that labels select", section: "" };
    });
    return [...targets, ...selectors];
  }

  private jwtAuthn(fields: Fields): MapNode {
    const [optional, failOpen] = [fields.boolean("optional"), fields.boolean("failOpen")];
    const { at } = fields;
    const providers = fields.objects("providers").map((provider) => this.provider(provider));
    fields.finish();
    const requirements = providers.map(({ name, node }) =>
      map(node.at, { provider_name: text(node.at, name) }),
    );
    if (optional) requirements.push(map(at, { allow_missing: map(at, {}) }));
    if (failOpen) requirements.push(map(at, { allow_missing_or_failed: map(at, {}) }));
    const [only] = requirements;
    const requires =
      only && requirements.length === 1
        ? only
        : map(at, { requires_any: map(at, { requirements: list(at, requirements) }) });
    const rule = map(at, { match: map(at, { prefix: text(at, "/") }), requires });
    return map(at, {
      providers: map(at, Object.fromEntries(providers.map(({ name, node }) => [name, node]))),
      rules: list(at, [rule]),
    });
  }

  private provider(fields: Fields): { name: string; node: MapNode } {
    const { at } = fields;
    const name = fields.string("name");
    if (name === undefined) fields.miss(`${fields.path} needs a name`);
    const issuer = fields.string("issuer");
    const audiences = fields.strings("audiences");
    const places = fields.object("extractFrom");
    const headers = places?.objects("headers").map((header) => {
      const [headerName, prefix] = [header.string("name"), header.string("valuePrefix")];
      header.finish();
      return map(header.at, {
        ...(headerName && { name: located(headerName) }),
        ...(prefix && { value_prefix: located(prefix) }),
      });
    });
    const [params, cookies] = [places?.strings("params"), places?.strings("cookies")];
    places?.finish();
    const outputs = fields.objects("claimToHeaders").map((output) => {
      const [header, claim] = [output.string("header"), output.string("claim")];
      output.finish();
      return map(output.at, {
        ...(header && { header_name: located(header) }),
        ...(claim && { claim_name: located(claim) }),
      });
    });
    const keys = this.keys(fields);
    // Changed headers always clear the route.
    fields.ignore("recomputeRoute");
    fields.finish();
    const scopes = ["scope", "scp"].map((claim) => text(at, claim));
    const node = map(at, {
      ...(issuer && { issuer: located(issuer) }),
      audiences: list(at, audiences.map(located)),
      ...keys,
      forward: { kind: "boolean", at, source: "true", value: true },
      payload_in_metadata: text(at, name?.value ?? ""),
      normalize_payload_in_metadata: map(at, { space_delimited_claims: list(at, scopes) }),
      from_headers: list(at, headers ?? []),
      from_params: list(at, (params ?? []).map(located)),
      from_cookies: list(at, (cookies ?? []).map(located)),
      claim_to_headers: list(at, outputs),
    });
    return { name: name?.value ?? "", node };
  }

  private keys(fields: Fields): Record<string, YamlNode> {
    const [remote, local] = [fields.object("remoteJWKS"), fields.object("localJWKS")];
    if (remote) {
      const uri = remote.string("uri");
      for (const field of ["backendRef", "backendRefs"]) {
        if (!remote.has(field)) continue;
        this.report.warning(
          remote.keyAt(field),
          "keys are fetched from the host of the URL, and not from these backends",
        );
      }
      remote.ignore("backendRef", "backendRefs", "backendSettings", "cacheDuration", "failedRefetchDuration");
      remote.finish();
      const { at } = remote;
      const http = map(at, { ...(uri && { uri: located(uri) }), timeout: text(at, "10s") });
      return { remote_jwks: map(at, { http_uri: http }) };
    }
    if (local === undefined) return {};
    const [type, inline, ref] = [local.string("type"), local.string("inline"), local.object("valueRef")];
    const name = ref?.string("name");
    ref?.ignore("group", "kind");
    ref?.finish();
    local.finish();
    const keys = type?.value === "ValueRef" || ref !== undefined ? this.configMap(local.at, name) : inline;
    return keys ? { local_jwks: map(local.at, { inline_string: located(keys) }) } : {};
  }

  private configMap(at: Position, name: Located<string> | undefined): Located<string> | undefined {
    const data = fieldOf(this.configMaps.get(name?.value ?? "") ?? { kind: "null", at, source: "" }, "data");
    const values = data?.kind === "map" ? data.entries : new Map<string, { value: YamlNode }>();
    const [first] = values.values();
    const value = (values.get("jwks") ?? first)?.value;
    if (value?.kind === "string") return { value: value.value, at: value.at };
    this.report.error(
      name?.at ?? at,
      `the keys are in the ConfigMap ${quote(name?.value ?? "")}, which is not in this file: add it, after a line ---`,
    );
    return undefined;
  }

  private authorization(fields: Fields, claims: Claims): FirstMatch {
    const otherwise = this.action(fields, "defaultAction");
    const rules = fields.objects("rules").map((rule) => ({
      action: this.action(rule, "action"),
      condition: this.rule(rule, claims),
    }));
    fields.finish();
    return { rules, otherwise };
  }

  private action(fields: Fields, name: string): "Allow" | "Deny" {
    const action = fields.string(name);
    if (action !== undefined && action.value !== "Allow" && action.value !== "Deny") {
      this.report.error(action.at, `${fields.path}.${name} must be Allow or Deny`);
    }
    return action?.value === "Allow" ? "Allow" : "Deny";
  }

  private rule(fields: Fields, claims: Claims): Expression {
    fields.ignore("name");
    const operation = fields.object("operation");
    const principal = fields.object("principal");
    const cel = fields.has("cel");
    fields.ignore("cel");
    const conditions = [
      ...(operation ? this.operation(operation) : []),
      ...(principal ? this.principal(principal, claims) : []),
      ...(cel ? [without(fields.keyAt("cel"), "Istio has no CEL expressions in policies")] : []),
    ];
    fields.finish();
    return all(...conditions);
  }

  private operation(fields: Fields): Expression[] {
    const methods = fields.strings("methods");
    const path = fields.object("path");
    const conditions = [
      ...(methods.length > 0 ? [any(...methods.map((one) => exactHeader(":method", one, true)))] : []),
      ...(path ? [this.path(path)] : []),
    ];
    fields.finish();
    return conditions;
  }

  /** Envoy Gateway compares the path with its query. */
  private path(fields: Fields): Expression {
    const type = fields.string("type")?.value ?? "PathPrefix";
    const { value, at } = fields.string("value") ?? { value: "/", at: fields.at };
    const inverted = fields.boolean("invert") ?? false;
    fields.finish();
    const condition = ((): Expression => {
      if (type === "PathPrefix") {
        const prefix = value.replace(/\/$/, "");
        if (prefix === "") return all();
        const ends = ["/", ";"].map((end) =>
          pathCondition({ at, match: { prefix: prefix + end }, ignoreCase: false }),
        );
        return any(pathCondition({ at, match: { exact: prefix }, ignoreCase: false }), ...ends);
      }
      if (type === "Exact") {
        const exact = pathCondition({ at, match: { exact: value }, ignoreCase: false });
        if (!("attribute" in exact) || exact.misfit !== undefined) return exact;
        const reason = `a path that continues after ${quote(value)} with ; is not matched`;
        return { ...exact, misfit: { matches: "fewer", reason, exactly: [value, `${value};*`] } };
      }
      if (/\.\*$/.test(value)) return pathCondition({ at, match: { regex: value }, ignoreCase: false });
      return without(
        at,
        "this regular expression is compared with the query too, and Istio's paths are without it",
      );
    })();
    return inverted ? not(condition) : condition;
  }

  private principal(fields: Fields, claims: Claims): Expression[] {
    const ranges = fields.strings("clientCIDRs");
    const headers = fields.objects("headers").map((header) => {
      const [name, values] = [header.string("name"), header.strings("values")];
      header.finish();
      return any(...values.map((value) => exactHeader(name?.value ?? "", value, false)));
    });
    const jwt = fields.object("jwt");
    const others = ["clientIPGeoLocations", "clientCert"].filter((name) => fields.has(name));
    fields.ignore("clientIPGeoLocations", "clientCert");
    const conditions = [
      ...(ranges.length > 0 ? [any(...ranges.map((range) => this.range(range)))] : []),
      ...headers,
      ...(jwt ? this.token(jwt, claims) : []),
      ...others.map((name) => without(fields.keyAt(name), `Istio's policies have no equivalent of ${name}`)),
    ];
    fields.finish();
    return conditions;
  }

  private range({ value, at }: Located<string>): Atom {
    const range = parseCidr(value);
    if (range === undefined) this.report.error(at, `${quote(value)} is not a range of addresses`);
    return { attribute: "remoteIpBlocks", values: [range ?? value], at };
  }

  private token(fields: Fields, claims: Claims): Expression[] {
    const provider = fields.string("provider")?.value ?? "";
    const scopes = fields.strings("scopes");
    const exactly = ({ value, at }: Located<string>) => ({ at, match: { exact: value }, ignoreCase: false });
    const conditions = [
      ...scopes.map((scope) =>
        any(
          ...["scope", "scp"].map((name) =>
            claims.condition(provider, [name], listMatcher([exactly(scope)]), scope.at),
          ),
        ),
      ),
      ...fields.objects("claims").map((claim) => {
        const [name, type, values] = [
          claim.string("name"),
          claim.string("valueType"),
          claim.strings("values"),
        ];
        claim.finish();
        const matchers = values.map(exactly);
        const matcher = type?.value === "StringArray" ? listMatcher(matchers) : textMatcher(matchers);
        return claims.condition(provider, (name?.value ?? "").split("."), matcher, claim.at);
      }),
    ];
    fields.finish();
    return conditions;
  }
}

function exactHeader(name: string, { value, at }: Located<string>, ignoreCase: boolean): Expression {
  return headerCondition(name, { at, match: { exact: value }, ignoreCase }, "joined");
}

function map(at: Position, fields: Record<string, YamlNode>): MapNode {
  const entries = Object.entries(fields).map(
    ([name, value]) => [name, { key: { value: name, at: value.at }, value }] as const,
  );
  return { kind: "map", at, entries: new Map(entries) };
}

function list(at: Position, items: readonly YamlNode[]): YamlNode {
  return { kind: "list", at, items: [...items] };
}

function text(at: Position, value: string): YamlNode {
  return { kind: "string", at, value };
}

function located({ value, at }: Located<string>): YamlNode {
  return text(at, value);
}
