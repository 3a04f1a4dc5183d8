/** `jwtgate import`: Envoy's own filters and Envoy Gateway's policies → Istio's YAML. */
import { Command, Option } from "commander";
import { type ImportOptions, importPolicies } from "../import/import.ts";
import { decodeText } from "../istio/yaml.ts";
import { InvalidValue, parseLabels } from "../values.ts";
import { nameOf, readInput } from "./input.ts";
import { outputFileOption, print, report, UserError } from "./output.ts";
import { readUpTo, reasonOf } from "./sources.ts";

/** A /config_dump of a large mesh has tens of megabytes. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;

/** Keys are small. */
const MAX_KEY_BYTES = 1024 * 1024;

const EXAMPLES = `
Examples:
  From the bootstrap of an Envoy; then compile the result:
    $ jwtgate import native.yaml -o policies.yaml
    $ jwtgate compile -f policies.yaml --output envoy --listen 127.0.0.1:8080 --upstream 127.0.0.1:8000
  From a running Envoy, one listener of it:
    $ curl -s localhost:9901/config_dump | jwtgate import - --listener ingress
  From Envoy Gateway:
    $ kubectl get securitypolicy -A -o yaml | jwtgate import - --policy web/gateway -o policies.yaml

Standard error names everything that has no equivalent, with its position. An error means that more requests could pass
than before; then the exit code is 1, and no policy is written. A warning means that fewer pass, or that no answer
changes. Exit code: 0, or 1 with an error, or 2 if the command line is wrong.`;

export function importCommand(): Command {
  return new Command("import")
    .description(
      "turn Envoy's jwt_authn and rbac filters, or Envoy Gateway's SecurityPolicies, into Istio's YAML",
    )
    .argument(
      "<file>",
      "a bootstrap, a /config_dump, a listener, a list of HTTP filters, SecurityPolicies, or - for standard input",
    )
    .addOption(outputFileOption())
    .optionsGroup("Which filters:")
    .option("--listener <name>", "those of this listener")
    .option("--filter-chain <name>", "those of this filter chain, by its name or its number from 0")
    .option("--policy <name>", "the SecurityPolicy of this name, NAME or NAMESPACE/NAME")
    .option("--no-route-overrides", "assume that no route outside the file changes the filters")
    .optionsGroup("How they are imported:")
    .option("--name <name>", "name of the RequestAuthentication, and the beginning of other names")
    .option("--namespace <name>", "namespace of all resources")
    .option("--labels <labels>", "labels of the workload that they are for, as NAME=VALUE,…", parseLabels)
    .option("--gateway <name>", "the Gateway (gateway.networking.k8s.io) that they are for")
    .option("--jwks-uri <provider=url>", "fetch a provider's keys from there; may be repeated", parseJwksUri)
    .optionsGroup("What has no equivalent:")
    .option(
      "--assume-claim-types",
      "assume that every token has each claim in the type that a condition names, text or list",
    )
    .option("--assume-one-token", "assume that no request has more than one token")
    .addOption(
      new Option(
        "--preflights <what>",
        "treatment of CORS preflights that may carry a token in the query, if the filter checks their tokens",
      ).choices(["deny", "pass"]),
    )
    .option("--keep-going", "replace each condition that has no equivalent with a stricter one, and warn")
    .addHelpText("after", EXAMPLES)
    .action(async (file: string, options: Options, command: Command) => {
      if (options.labels !== undefined && options.gateway !== undefined)
        command.error("error: --labels and --gateway name two kinds of workload: keep one");
      await run(file, options);
    });
}

interface Options
  extends Omit<ImportOptions, "readFile" | "noRouteOverrides" | "jwksUris" | "assumeClaimTypes"> {
  assumeClaimTypes?: boolean;
  /** Whether routes that are not in the file may change the filters. */
  routeOverrides: boolean;
  jwksUri?: Record<string, string>;
}

/** @throws {InvalidValue} if it is not NAME=URL */
function parseJwksUri(text: string, previous: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at <= 0 || !URL.canParse(text.slice(at + 1)))
    throw new InvalidValue("Write NAME=URL, such as provider1=https://idp.example.com/jwks.json.");
  return Object.fromEntries([...Object.entries(previous), [text.slice(0, at), text.slice(at + 1)]]);
}

async function run(file: string, { routeOverrides, jwksUri, ...options }: Options): Promise<void> {
  const name = nameOf(file);
  const decoded = decodeText(name, readInput(file, MAX_FILE_BYTES));
  if ("diagnostic" in decoded) {
    report([decoded.diagnostic]);
    throw new UserError("");
  }
  const { text, diagnostics } = importPolicies(
    { name, text: decoded.text },
    { ...options, jwksUris: jwksUri, noRouteOverrides: !routeOverrides, readFile },
  );
  report(diagnostics);
  if (text === undefined) throw new UserError("");
  await print(text);
}

function readFile(path: string): { text: string } | { fault: string } {
  try {
    const decoded = decodeText(path, readUpTo(path, MAX_KEY_BYTES));
    return "text" in decoded ? decoded : { fault: decoded.diagnostic.message };
  } catch (error) {
    return { fault: reasonOf(error) };
  }
}
