/** A form whose answers become a RequestAuthentication and an AuthorizationPolicy. */
import { useEffect, useRef } from "preact/hooks";
import type { Request } from "../../tools/testing/schema.ts";
import type { Made, Output, Questions } from "../engine/wizard.ts";
import { Copy } from "../parts/copy.tsx";
import { Yaml } from "../parts/yaml.tsx";
import { Sign } from "../playground/answer.tsx";
import { type Draft, read } from "../playground/draft.ts";
import { download } from "../playground/files.tsx";
import { openInPlayground } from "../playground/state.ts";
import { form, isChecking, problem, result } from "./state.ts";

/** The questions, by the names of their fields. */
const LABELS = {
  issuer: "Issuer",
  keys: "Keys",
  pasted: "Key set, public key or certificate",
  jwksUri: "URL of the key set",
  audiences: "Audiences (empty: any)",
  scopes: "Scopes that the token must have",
  claims: "Claims that the token must have: NAME=VALUE, one per line",
  payloadHeader: "Header that gets the payload",
  claimHeaders: "Claims to headers: HEADER=CLAIM, one per line",
  scope: "Requests that need a token",
  paths: "Paths, such as /public/*",
  hosts: "Hosts",
  methods: "Methods",
  name: "Name",
  namespace: "Namespace (empty: that of kubectl)",
  target: "For",
  labels: "Labels, such as app=shop",
  gateway: "Gateway",
  mode: "The proxy is",
  image: "Image of the WasmPlugin",
  listen: "Envoy listens at",
  upstream: "The service is at",
} as const satisfies Partial<Record<keyof Questions, string>>;

type Name = keyof typeof LABELS;
type SelectName = "keys" | "scope" | "target" | "mode";

/** Fields inside *Advanced*. */
const ADVANCED = ["locations", "scopes", "claims", "payloadHeader", "claimHeaders"];

function change(more: Partial<Questions>): void {
  form.value = { ...form.value, ...more };
}

export function Wizard() {
  const { faults = {}, made } = result.value ?? {};
  return (
    <div class="wizard">
      <form class="questions" aria-label="Questions" onSubmit={(event) => event.preventDefault()}>
        <JwtConfig />
        <Matching />
        <Target />
        <WhereItRuns />
      </form>
      <section class="results" aria-label="Result" aria-busy={isChecking.value}>
        {isChecking.value && <p class="checking">Checking …</p>}
        {problem.value !== undefined && (
          <p class="bad" role="alert">
            {problem.value}
          </p>
        )}
        {faults["policy"] !== undefined && (
          <p class="bad" role="alert">
            {faults["policy"]}
          </p>
        )}
        {made ? <Result made={made} /> : problem.value === undefined && <Missing faults={faults} />}
      </section>
    </div>
  );
}

/** Links to the wrong answers, whose fields may be out of view or hidden. */
function Missing({ faults }: { faults: Readonly<Record<string, string>> }) {
  const wrong = Object.keys(faults).filter((name) => name !== "policy");
  return (
    <div class="card">
      <p>The resources appear here when every answer is valid.</p>
      {wrong.length > 0 && (
        <ul class="plain">
          {wrong.map((name) => (
            <li key={name}>
              <button type="button" class="link" onClick={() => goTo(name)}>
                {labelOf(name)}
              </button>
              : {faults[name]}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function labelOf(name: string): string {
  if (name in LABELS) return LABELS[name as Name];
  const [, index] = /^locations\.(\d+)$/.exec(name) ?? [];
  return index === undefined ? "Paths, hosts and methods" : `Location ${Number(index) + 1} of the token`;
}

/** Shows a field, and moves the cursor there. */
function goTo(name: string): void {
  const element = document.getElementById(idOf(name === "match" ? "paths" : name));
  const details = element?.closest("details");
  if (details) details.open = true;
  element?.focus();
}

function idOf(name: string): string {
  return `wizard-${name}`;
}

function JwtConfig() {
  const { keys, forward, locations: at } = form.value;
  const { faults = {}, notes = [] } = result.value ?? {};
  const isWrong = Object.keys(faults).some((name) => ADVANCED.includes(name.replace(/\..*/, "")));
  const advanced = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    // It stays open after the fault is corrected, because the user is typing there.
    if (isWrong && advanced.current) advanced.current.open = true;
  }, [isWrong]);
  return (
    <section class="card" aria-labelledby="jwt-title">
      <h2 id="jwt-title">JWT config</h2>
      <Text name="issuer" />
      <Select
        name="keys"
        choices={[
          ["trial", "made for a trial"],
          ["pasted", "pasted: JWKS, PEM or certificate"],
          ["uri", "at a URL"],
          ["discovery", "by the issuer's discovery document"],
        ]}
      />
      {keys === "trial" && (
        <p class="hint">
          The page makes a key pair to try the policies. Its private key stays in this page: choose your
          issuer's own keys before you use the policies.
        </p>
      )}
      {keys === "pasted" && <Text name="pasted" rows={5} />}
      {notes.map((note) => (
        <p key={note} class="hint">
          {note}
        </p>
      ))}
      {keys === "uri" && <Text name="jwksUri" />}
      <Text name="audiences" />
      <details ref={advanced}>
        <summary>Advanced</summary>
        <fieldset>
          <legend>Where the token is</legend>
          {at.length === 0 && (
            <p class="hint">
              <code>Authorization: Bearer TOKEN</code>, unless you add a location.
            </p>
          )}
          {at.map((location, index) => (
            <TokenLocation key={index} location={location} index={index} />
          ))}
          <button
            type="button"
            onClick={() => change({ locations: [...at, { kind: "header", name: "", prefix: "" }] })}
          >
            Add a location
          </button>
        </fieldset>
        <Text name="scopes" />
        <Text name="claims" rows={2} />
        <label class="check">
          <input
            type="checkbox"
            checked={forward}
            onChange={(event) => change({ forward: event.currentTarget.checked })}
          />{" "}
          Pass the token to the service
        </label>
        <Text name="payloadHeader" />
        <Text name="claimHeaders" rows={2} />
      </details>
    </section>
  );
}

function TokenLocation({ location, index }: { location: Questions["locations"][number]; index: number }) {
  const set = (more: Partial<Questions["locations"][number]>) =>
    change({ locations: form.value.locations.map((one, at) => (at === index ? { ...one, ...more } : one)) });
  const number = index + 1;
  const name = `locations.${index}`;
  return (
    <>
      <div class="line">
        <select
          aria-label={`Kind of location ${number}`}
          value={location.kind}
          onChange={(event) => set({ kind: event.currentTarget.value as typeof location.kind })}
        >
          <option value="header">header</option>
          <option value="parameter">parameter</option>
          <option value="cookie">cookie</option>
        </select>
        <input
          {...described(name)}
          class="grow"
          aria-label={`Name of location ${number}`}
          placeholder="name"
          value={location.name}
          spellcheck={false}
          onInput={(event) => set({ name: event.currentTarget.value })}
        />
        {location.kind === "header" && (
          <input
            class="grow"
            aria-label={`Prefix of location ${number}`}
            placeholder="prefix"
            value={location.prefix}
            spellcheck={false}
            onInput={(event) => set({ prefix: event.currentTarget.value })}
          />
        )}
        <button
          type="button"
          class="quiet"
          aria-label={`Remove location ${number}`}
          onClick={() => change({ locations: form.value.locations.filter((_, at) => at !== index) })}
        >
          Remove
        </button>
      </div>
      <Fault name={name} />
    </>
  );
}

function Matching() {
  return (
    <section class="card" aria-labelledby="matching-title">
      <h2 id="matching-title">Matching rules</h2>
      <Select
        name="scope"
        choices={[
          ["all", "all"],
          ["matched", "auth if matched"],
          ["unmatched", "bypass if matched"],
        ]}
      />
      {form.value.scope !== "all" && (
        <>
          <p class="hint">
            {form.value.scope === "matched"
              ? "Requests that match need a token; all others need none."
              : "Requests that match need no token; all others need one."}{" "}
            Of several values of a field, one is enough. A request matches if every field that is filled in
            does.
          </p>
          <Text name="paths" />
          <Text name="hosts" />
          <Text name="methods" />
          <Fault name="match" />
        </>
      )}
    </section>
  );
}

function Target() {
  const { target } = form.value;
  return (
    <section class="card" aria-labelledby="target-title">
      <h2 id="target-title">Resources</h2>
      <div class="line">
        <Text name="name" />
        <Text name="namespace" />
      </div>
      <Select
        name="target"
        choices={[
          ["all", "all workloads of the namespace"],
          ["labels", "workloads with labels"],
          ["gateway", "a Gateway"],
        ]}
      />
      {target === "labels" && <Text name="labels" />}
      {target === "gateway" && <Text name="gateway" />}
    </section>
  );
}

function WhereItRuns() {
  return (
    <section class="card" aria-labelledby="place-title">
      <h2 id="place-title">Where it runs</h2>
      <Select
        name="mode"
        choices={[
          ["gateway", "a gateway: clients connect to it"],
          ["sidecar", "a sidecar: other proxies connect to it"],
        ]}
      />
      <Text name="image" />
      <div class="line">
        <Text name="listen" />
        <Text name="upstream" />
      </div>
    </section>
  );
}

function Fault({ name }: { name: string }) {
  const fault = result.value?.faults[name];
  if (fault === undefined) return null;
  return (
    <p class="bad" id={`${idOf(name)}-fault`} data-fault={name}>
      {fault}
    </p>
  );
}

/** The attributes that connect a control with its fault. */
function described(name: string) {
  const isWrong = result.value?.faults[name] !== undefined;
  const id = idOf(name);
  return { id, "aria-invalid": isWrong, ...(isWrong && { "aria-describedby": `${id}-fault` }) };
}

function Text({ name, rows }: { name: Exclude<Name, SelectName>; rows?: number }) {
  const control = {
    ...described(name),
    value: form.value[name],
    spellcheck: false,
    autocomplete: "off",
    onInput: ({ currentTarget }: { currentTarget: { value: string } }) =>
      change({ [name]: currentTarget.value }),
  };
  return (
    <div class="field grow">
      <label for={control.id}>{LABELS[name]}</label>
      {rows === undefined ? <input {...control} /> : <textarea rows={rows} {...control} />}
      <Fault name={name} />
    </div>
  );
}

function Select({ name, choices }: { name: SelectName; choices: readonly (readonly [string, string])[] }) {
  return (
    <div class="field">
      <label for={idOf(name)}>{LABELS[name]}</label>
      <select
        {...described(name)}
        value={form.value[name]}
        onChange={(event) => change({ [name]: event.currentTarget.value })}
      >
        {choices.map(([value, title]) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
      </select>
      <Fault name={name} />
    </div>
  );
}

/** Method and URL of a request, without its token. */
function RequestLine({ request: { method = "GET", path = "/", host = "" } }: { request: Request }) {
  return <code>{`${method} ${host}${path}`}</code>;
}

/** The request with a valid token, for the playground, whose own key signs it. */
function validRequest({ valid, ran: { content, tokens } }: Made): Draft | undefined {
  if (valid === undefined || content === undefined) return undefined;
  const keys = Object.fromEntries(
    Object.entries(content.keys ?? {}).map(([name, { jwk: _, ...key }]) => [name, key]),
  );
  return read(valid.written, valid.result.name, { ...content, keys }, tokens);
}

function Result({ made }: { made: Made }) {
  const { policy, tests, requests, wasmplugin, envoy, curl, ran, findings } = made;
  return (
    <>
      <section class="card" aria-labelledby="requests-title">
        <h2 id="requests-title">Requests, answered by the filter</h2>
        {ran.diagnostics.map(({ message }) => (
          <p key={message} class="bad">
            {message}
          </p>
        ))}
        <ul class="plain proofs">
          {ran.cases.map(({ result: { name, answer, failures }, evaluated, written }) => (
            <li key={name}>
              <Sign isGood={failures.length === 0} />
              <span>
                <RequestLine request={written} />, {name}: <b>{answer}</b>{" "}
                <span class="faint">{evaluated?.because}</span>
              </span>
            </li>
          ))}
        </ul>
        {form.value.keys !== "trial" && (
          <p class="hint">
            The page signs these tokens. Only here, the rule of the issuer trusts the page's key instead of
            its own keys.
          </p>
        )}
        <p class="buttons">
          <button
            type="button"
            onClick={() => openInPlayground({ files: [policy, tests], draft: validRequest(made) })}
          >
            Open in the playground
          </button>
        </p>
      </section>
      <Document title="Resources" name={policy.name} text={policy.text} isOpen />
      {findings
        .filter(({ code }) => code !== "JG000")
        .map(({ code, message }) => (
          <p key={`${code} ${message}`} class="faint">
            {code}: {message}
          </p>
        ))}
      <Document title="Test file" name={tests.name} text={tests.text} />
      <Document title="The four requests" name={requests.name} text={requests.text} />
      {curl !== undefined && <Document title="curl lines" name="requests.sh" text={curl} />}
      <OutputOf title="WasmPlugin" name="wasmplugin.yaml" output={wasmplugin} />
      <OutputOf title="Envoy bootstrap" name="envoy.yaml" output={envoy} />
    </>
  );
}

/** @param output undefined if an answer that it needs is wrong; the fault is shown at that answer */
function OutputOf({ title, name, output }: { title: string; name: string; output: Output | undefined }) {
  if (output === undefined) return null;
  if ("text" in output) return <Document title={title} name={name} text={output.text} />;
  return (
    <p class="bad">
      {title}: {output.fault}
    </p>
  );
}

function Document({
  title,
  name,
  text,
  isOpen = false,
}: {
  title: string;
  name: string;
  text: string;
  isOpen?: boolean;
}) {
  const pre = useRef<HTMLPreElement>(null);
  return (
    <details class="card document" open={isOpen}>
      <summary>
        <h2>{title}</h2>
      </summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys */}
      <pre ref={pre} tabIndex={0}>
        {/\.ya?ml$/.test(name) ? <Yaml text={text} /> : text}
      </pre>
      <p class="buttons">
        <Copy
          text={() => text}
          select={() => pre.current && getSelection()?.selectAllChildren(pre.current)}
        />
        <button type="button" onClick={() => download(name, text)}>
          Download {name}
        </button>
      </p>
    </details>
  );
}
