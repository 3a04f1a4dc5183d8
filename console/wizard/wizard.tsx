/** Questions whose answers become a RequestAuthentication and an AuthorizationPolicy. */
import { useId } from "preact/hooks";
import type { Form } from "../../tools/wizard/form.ts";
import type { Made, Output, Places } from "../engine/wizard.ts";
import { Sign } from "../playground/answer.tsx";
import { download } from "../playground/files.tsx";
import { openInPlayground } from "../playground/state.ts";
import { form, places, problem, result } from "./state.ts";

type TextName = { [Name in keyof Form]: Form[Name] extends string ? Name : never }[keyof Form];

function change(more: Partial<Form>): void {
  form.value = { ...form.value, ...more };
}

export function Wizard() {
  const { faults = {}, made } = result.value ?? {};
  return (
    <div class="wizard">
      <form class="questions" onSubmit={(event) => event.preventDefault()}>
        <JwtConfig />
        <Matching />
        <Target />
      </form>
      <section class="results" aria-label="Result">
        {problem.value !== undefined && (
          <p class="bad" role="alert">
            {problem.value}
          </p>
        )}
        {faults["policy"] !== undefined && <p class="bad">{faults["policy"]}</p>}
        {made ? (
          <Result made={made} />
        ) : (
          <p class="faint">The resources appear here when each answer is right.</p>
        )}
      </section>
    </div>
  );
}

function JwtConfig() {
  const { keys, forward, places: at } = form.value;
  return (
    <section class="card" aria-labelledby="jwt-title">
      <h2 id="jwt-title">JWT config</h2>
      <Text name="issuer" label="Issuer" />
      <Select
        name="keys"
        label="Keys"
        choices={[
          ["trial", "made for a trial"],
          ["pasted", "pasted: JWKS, PEM or certificate"],
          ["uri", "at a URL"],
          ["discovery", "by the issuer's discovery document"],
        ]}
      />
      {keys === "pasted" && <Text name="pasted" label="Key set, public key or certificate" rows={5} />}
      {result.value?.notes.map((note) => (
        <p key={note} class="faint">
          {note}
        </p>
      ))}
      {keys === "uri" && <Text name="jwksUri" label="URL of the key set" />}
      <Text name="audiences" label="Audiences (empty: any)" />
      <details>
        <summary>Advanced</summary>
        <h3>Where the token is</h3>
        {at.length === 0 && <p class="faint">Authorization: Bearer TOKEN</p>}
        {at.map((place, index) => (
          <TokenPlace key={index} place={place} index={index} />
        ))}
        <button
          type="button"
          onClick={() => change({ places: [...at, { kind: "header", name: "", prefix: "" }] })}
        >
          Add a place
        </button>
        <Text name="scopes" label="Scopes that the token must have" />
        <Text name="claims" label="Claims that it must have: NAME=VALUE, a line each" rows={2} />
        <label class="check">
          <input
            type="checkbox"
            checked={forward}
            onChange={(event) => change({ forward: event.currentTarget.checked })}
          />{" "}
          Pass the token to the service
        </label>
        <Text name="payloadHeader" label="Header that gets the payload" />
        <Text name="claimHeaders" label="Claims to headers: HEADER=CLAIM, a line each" rows={2} />
      </details>
    </section>
  );
}

function TokenPlace({ place, index }: { place: Form["places"][number]; index: number }) {
  const set = (more: Partial<Form["places"][number]>) =>
    change({ places: form.value.places.map((one, at) => (at === index ? { ...one, ...more } : one)) });
  const number = index + 1;
  return (
    <>
      <div class="line">
        <select
          aria-label={`Kind of place ${number}`}
          value={place.kind}
          onChange={(event) => set({ kind: event.currentTarget.value as typeof place.kind })}
        >
          <option value="header">header</option>
          <option value="parameter">parameter</option>
          <option value="cookie">cookie</option>
        </select>
        <input
          class="grow"
          aria-label={`Name of place ${number}`}
          placeholder="name"
          value={place.name}
          onInput={(event) => set({ name: event.currentTarget.value })}
        />
        {place.kind === "header" && (
          <input
            class="grow"
            aria-label={`Prefix of place ${number}`}
            placeholder="prefix"
            value={place.prefix}
            onInput={(event) => set({ prefix: event.currentTarget.value })}
          />
        )}
        <button
          type="button"
          class="quiet"
          aria-label={`Remove place ${number}`}
          onClick={() => change({ places: form.value.places.filter((_, at) => at !== index) })}
        >
          Remove
        </button>
      </div>
      <Fault name={`places.${index}`} />
    </>
  );
}

function Matching() {
  return (
    <section class="card" aria-labelledby="matching-title">
      <h2 id="matching-title">Matching rules</h2>
      <Select
        name="scope"
        label="Requests that need a token"
        choices={[
          ["all", "all"],
          ["matched", "auth if matched"],
          ["unmatched", "bypass if matched"],
        ]}
      />
      {form.value.scope !== "all" && (
        <>
          <Text name="paths" label="Paths, such as /public/*" />
          <Text name="hosts" label="Hosts" />
          <Text name="methods" label="Methods" />
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
      <Text name="name" label="Name" />
      <Text name="namespace" label="Namespace (empty: that of kubectl)" />
      <Select
        name="target"
        label="For"
        choices={[
          ["all", "all workloads of the namespace"],
          ["labels", "workloads with labels"],
          ["gateway", "a Gateway"],
        ]}
      />
      {target === "labels" && <Text name="labels" label="Labels, such as app=shop" />}
      {target === "gateway" && <Text name="gateway" label="Gateway" />}
    </section>
  );
}

function Fault({ name, id }: { name: string; id?: string }) {
  const fault = result.value?.faults[name];
  if (fault === undefined) return null;
  return (
    <p class="bad" id={id} data-fault={name}>
      {fault}
    </p>
  );
}

function Text({ name, label, rows }: { name: TextName; label: string; rows?: number }) {
  const id = useId();
  const isWrong = result.value?.faults[name] !== undefined;
  const onInput = ({ currentTarget }: { currentTarget: { value: string } }) =>
    change({ [name]: currentTarget.value });
  const common = { id, value: form.value[name], spellcheck: false, onInput };
  const described = { "aria-invalid": isWrong, ...(isWrong && { "aria-describedby": `${id}-fault` }) };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {rows === undefined ? (
        <input {...common} {...described} />
      ) : (
        <textarea rows={rows} {...common} {...described} />
      )}
      <Fault name={name} id={`${id}-fault`} />
    </div>
  );
}

function Select({
  name,
  label,
  choices,
}: {
  name: "keys" | "scope" | "target";
  label: string;
  choices: readonly (readonly [string, string])[];
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
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
          {ran.cases.map(({ result: { name, answer, failures }, evaluated }) => (
            <li key={name}>
              <Sign isGood={failures.length === 0} /> {name}: <b>{answer}</b>{" "}
              <span class="faint">{evaluated?.because}</span>
            </li>
          ))}
        </ul>
        <button type="button" onClick={() => openInPlayground({ files: [policy, tests] })}>
          Open in the playground
        </button>
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
      <Document title="curl lines" name="requests.sh" text={curl} />
      <section class="card" aria-label="Where it runs">
        <h2>Where it runs</h2>
        <Place name="image" label="Image of the WasmPlugin" />
        <Place name="listen" label="Envoy listens at" />
        <Place name="upstream" label="The service" />
      </section>
      <OutputOf title="WasmPlugin" name="wasmplugin.yaml" output={wasmplugin} />
      <OutputOf title="Envoy bootstrap" name="envoy.yaml" output={envoy} />
    </>
  );
}

function Place({ name, label }: { name: Exclude<keyof Places, "mode">; label: string }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        value={places.value[name]}
        spellcheck={false}
        onInput={(event) => {
          places.value = { ...places.value, [name]: event.currentTarget.value };
        }}
      />
    </div>
  );
}

function OutputOf({ title, name, output }: { title: string; name: string; output: Output }) {
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
  return (
    <details class="card" open={isOpen}>
      <summary>{title}</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keys */}
      <pre tabIndex={0}>{text}</pre>
      <button type="button" onClick={() => void navigator.clipboard.writeText(text)}>
        Copy
      </button>{" "}
      <button type="button" onClick={() => download(name, text)}>
        Download {name}
      </button>
    </details>
  );
}
