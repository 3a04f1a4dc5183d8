/** The form of the request that is tried, and of its token. */
import { cloneElement, type VNode } from "preact";
import { useId, useState } from "preact/hooks";
import { ALGORITHM_NAMES } from "../../tools/jwks/algorithms.ts";
import { SPOILS as TEXTS } from "../../tools/testing/spoils.ts";
import { engine } from "../engine/client.ts";
import { ClaimsForm } from "./claims.tsx";
import { BEARER, type Draft, EMPTY_SETTING, type MadeToken, type Place, type Setting } from "./draft.ts";
import { testValuesAt } from "./reference.ts";
import { fetchKeys, isServed } from "./served.ts";
import { documents, draft, explained, issuers } from "./state.ts";
import { decode, type Member } from "./token.ts";

/** Ways to spoil a token in a test file, each with what it does. */
const SPOILS = Object.entries(TEXTS).map(([name, text]) => ({ name, text: text.replaceAll("`", "") }));

function change(more: Partial<Draft>): void {
  draft.value = { ...draft.value, ...more };
}

function changeMade(more: Partial<MadeToken>): void {
  change({ made: { ...draft.value.made, ...more } });
}

export function RequestForm() {
  const { method, path, host, peer, headers, body, sni, client } = draft.value;
  return (
    <section class="card" aria-labelledby="request-title">
      <h2 id="request-title">Request</h2>
      <div class="line">
        <Field label="Method" class="method">
          <input
            value={method}
            list="methods"
            onInput={(event) => change({ method: event.currentTarget.value })}
          />
        </Field>
        <Field label="Path" class="grow">
          <input
            value={path}
            spellcheck={false}
            onInput={(event) => change({ path: event.currentTarget.value })}
          />
        </Field>
        <Field label="Host" class="grow">
          <input
            value={host}
            spellcheck={false}
            onInput={(event) => change({ host: event.currentTarget.value })}
          />
        </Field>
      </div>
      <datalist id="methods">
        {["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"].map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <details>
        <summary>Headers, body, address, TLS, curl</summary>
        <Field label="Headers, one per line">
          <textarea
            rows={3}
            value={headers}
            spellcheck={false}
            placeholder="x-tenant: acme"
            onInput={(event) => change({ headers: event.currentTarget.value })}
          />
        </Field>
        <div class="line">
          <Field label="Body" class="grow">
            <input value={body} onInput={(event) => change({ body: event.currentTarget.value })} />
          </Field>
          <Field label="IP address of the client" class="grow">
            <input value={peer} onInput={(event) => change({ peer: event.currentTarget.value })} />
          </Field>
        </div>
        <div class="line">
          <Field label="TLS: server name" class="grow">
            <input value={sni} onInput={(event) => change({ sni: event.currentTarget.value })} />
          </Field>
          <Field label="TLS: URIs of the client's certificate" class="grow">
            <input
              value={client}
              placeholder="spiffe://cluster.local/ns/default/sa/web"
              onInput={(event) => change({ client: event.currentTarget.value })}
            />
          </Field>
        </div>
        <Curl />
      </details>
      <SettingForm />
      <TokenForm />
    </section>
  );
}

/** Where and when the request arrives. */
function SettingForm() {
  const { setting } = draft.value;
  const set = (more: Partial<Setting>) => change({ setting: { ...setting, ...more } });
  const text = (name: keyof Setting, label: string, placeholder: string) => (
    <Field label={label} class="grow">
      <input
        value={setting[name]}
        placeholder={placeholder}
        spellcheck={false}
        onInput={(event) => set({ [name]: event.currentTarget.value })}
      />
    </Field>
  );
  const isUsual = JSON.stringify(setting) === JSON.stringify(EMPTY_SETTING);
  return (
    <details>
      <summary>Listener, workload, time{!isUsual && ": not as usual"}</summary>
      <div class="line">
        <Field label="The proxy is" class="grow">
          <select
            value={setting.mode}
            onChange={(event) => set({ mode: event.currentTarget.value as Setting["mode"] })}
          >
            <option value="gateway">a gateway: clients connect to it</option>
            <option value="sidecar">a sidecar: other proxies connect to it</option>
          </select>
        </Field>
        <Field label="Path normalisation" class="grow">
          <select
            value={setting.normalization}
            onChange={(event) => set({ normalization: event.currentTarget.value })}
          >
            {testValuesAt(["listener", "pathNormalization"]).map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </Field>
      </div>
      <div class="line">
        {text("listen", "It listens at", "127.0.0.1:8080")}
        {text("at", "When", "now")}
      </div>
      <p class="hint">
        Without a workload, all policies apply. With one, only those that select it apply, as in a mesh.
      </p>
      <div class="line">
        {text("namespace", "Namespace of the workload", "foo")}
        {text("labels", "Its labels", "app=shop,version=v1")}
      </div>
      <div class="line">
        {text("gateway", "The Gateway that the workload implements", "public")}
        {text("rootNamespace", "Root namespace", "istio-system")}
      </div>
      {!isUsual && (
        <p>
          <button type="button" onClick={() => change({ setting: EMPTY_SETTING })}>
            As usual
          </button>
        </p>
      )}
    </details>
  );
}

/** Takes a request from a curl line. */
function Curl() {
  const [problem, setProblem] = useState("");
  const read = async (line: string) => {
    if (line.trim() === "") {
      setProblem("");
      return;
    }
    try {
      const request = await engine.call("curl", { line }, { purpose: "curl" });
      const url = new URL(request.url.includes("://") ? request.url : `http://${request.url}`);
      const bearer = request.headers.find(([name]) => name.toLowerCase() === "authorization");
      const token = /^Bearer (.*)$/s.exec(bearer?.[1] ?? "")?.[1];
      const others = request.headers.filter(
        ([name]) => !(/^host$/i.test(name) || (token !== undefined && name === bearer?.[0])),
      );
      const named = request.headers.find(([name]) => name.toLowerCase() === "host")?.[1];
      change({
        method: request.method,
        path: /^(?:[a-z]+:\/\/)?[^/?#]*([^#]*)/i.exec(request.url)?.[1] || "/",
        host: named ?? url.host,
        headers: others.map(([name, value]) => `${name}: ${value}`).join("\n"),
        body: request.body,
        ...(token === undefined ? { token: "none" } : { token: "pasted", pasted: token, place: BEARER }),
      });
      setProblem("");
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <>
      <Field label="Or paste a curl line, which is read and not run">
        <textarea
          rows={2}
          spellcheck={false}
          placeholder="curl -H 'Authorization: Bearer …' https://shop.example/orders"
          onInput={(event) => void read(event.currentTarget.value)}
        />
      </Field>
      {problem !== "" && (
        <p class="bad" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}

function TokenForm() {
  const { token } = draft.value;
  const kinds: readonly [Draft["token"], string][] = [
    ["none", "No token"],
    ["made", "Make one"],
    ["pasted", "Paste one"],
  ];
  return (
    <fieldset class="token">
      <legend>Token</legend>
      <div class="choices">
        {kinds.map(([kind, title]) => (
          <label key={kind}>
            <input
              type="radio"
              name="token"
              checked={token === kind}
              onChange={() => change({ token: kind })}
            />{" "}
            {title}
          </label>
        ))}
      </div>
      {token === "made" && <Made />}
      {token === "pasted" && <Pasted />}
      {token !== "none" && <PlaceForm />}
      {token !== "none" && <Decoded />}
    </fieldset>
  );
}

function Made() {
  const [isForm, setIsForm] = useState(false);
  const { issuer, alg, isTrusted, claims, expires, spoil } = draft.value.made;
  const names = [...new Set(issuers.value.flatMap((one) => one.issuer ?? []))];
  const isKnown = names.includes(issuer);
  return (
    <>
      <div class="line">
        <Field label="Issuer" class="grow">
          <input
            value={issuer}
            list="issuers"
            spellcheck={false}
            onInput={(event) => changeMade({ issuer: event.currentTarget.value })}
          />
        </Field>
        <datalist id="issuers">
          {names.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <Field label="Algorithm">
          <select value={alg} onChange={(event) => changeMade({ alg: event.currentTarget.value })}>
            {ALGORITHM_NAMES.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </Field>
        <Field label="Expires">
          <input
            class="short"
            value={expires}
            placeholder="now+1h"
            onInput={(event) => changeMade({ expires: event.currentTarget.value })}
          />
        </Field>
      </div>
      {isForm ? (
        <ClaimsForm claims={claims} onChange={(text) => changeMade({ claims: text })} />
      ) : (
        <Field label="Claims, as JSON">
          <textarea
            rows={Math.min(8, Math.max(3, claims.split("\n").length))}
            value={claims}
            spellcheck={false}
            onInput={(event) => changeMade({ claims: event.currentTarget.value })}
          />
        </Field>
      )}
      <label>
        <input
          type="checkbox"
          checked={isForm}
          onChange={(event) => setIsForm(event.currentTarget.checked)}
        />{" "}
        Claims as a form
      </label>
      <div class="line">
        <Field label="Spoil it" class="grow">
          <select
            value={spoil}
            onChange={(event) => changeMade({ spoil: event.currentTarget.value as MadeToken["spoil"] })}
          >
            <option value="">not at all</option>
            {SPOILS.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        <label class="check">
          <input
            type="checkbox"
            checked={isTrusted}
            onChange={(event) => changeMade({ isTrusted: event.currentTarget.checked })}
          />{" "}
          The policies trust this page's key
        </label>
      </div>
      <p class="faint">
        {SPOILS.find(({ name }) => name === spoil)?.text}{" "}
        {isTrusted &&
          isKnown &&
          "The key is made in this page. The rule of this issuer trusts it instead of its own keys."}
        {isTrusted && !isKnown && "No rule has this issuer, so no rule accepts the token."}
        {!isTrusted && "No rule trusts the key that signs this token."}
      </p>
    </>
  );
}

function Pasted() {
  const uris = [...new Set(issuers.value.flatMap(({ keysAt }) => keysAt ?? []))];
  return (
    <>
      <Field label="The token; it stays in this page">
        <textarea
          rows={3}
          value={draft.value.pasted}
          spellcheck={false}
          onInput={(event) => change({ pasted: event.currentTarget.value })}
        />
      </Field>
      {uris.map((uri) => (
        <Keys key={uri} uri={uri} />
      ))}
    </>
  );
}

/** A key set that policies fetch: pasted, or fetched by this page's server. */
function Keys({ uri }: { uri: string }) {
  const [problem, setProblem] = useState("");
  const set = (text: string) => {
    const { [uri]: _, ...others } = documents.value;
    documents.value = text.trim() === "" ? others : { ...others, [uri]: text };
  };
  const get = async () => {
    try {
      setProblem("");
      set(await fetchKeys(uri));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <>
      <Field label={`The key set at ${uri}`}>
        <textarea
          rows={2}
          spellcheck={false}
          value={documents.value[uri] ?? ""}
          placeholder='{"keys": […]}'
          onInput={(event) => set(event.currentTarget.value)}
        />
      </Field>
      {isServed && (
        <p>
          <button type="button" onClick={() => void get()}>
            Fetch it
          </button>
        </p>
      )}
      {problem !== "" && (
        <p class="bad" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}

function PlaceForm() {
  const { kind, name, prefix } = draft.value.place;
  const changePlace = (place: Place) => change({ place });
  const defaults: Record<Place["kind"], Place> = {
    header: BEARER,
    param: { kind: "param", name: "access_token", prefix: "" },
    cookie: { kind: "cookie", name: "token", prefix: "" },
  };
  return (
    <div class="line">
      <Field label="Where it is sent">
        <select
          value={kind}
          onChange={(event) => changePlace(defaults[event.currentTarget.value as Place["kind"]])}
        >
          <option value="header">header</option>
          <option value="param">query parameter</option>
          <option value="cookie">cookie</option>
        </select>
      </Field>
      <Field label="Name" class="grow">
        <input
          value={name}
          onInput={(event) => changePlace({ kind, name: event.currentTarget.value, prefix })}
        />
      </Field>
      {kind === "header" && (
        <Field label="Prefix">
          <input
            class="short"
            value={prefix}
            onInput={(event) => changePlace({ kind, name, prefix: event.currentTarget.value })}
          />
        </Field>
      )}
    </div>
  );
}

/** The members of the token's header and payload. */
function Decoded() {
  const text = draft.value.token === "pasted" ? draft.value.pasted : (explained.value?.token ?? "");
  if (text.trim() === "") return null;
  const { header, claims } = decode(text);
  return (
    <details>
      <summary>What the token says</summary>
      <Members title="Header" members={header} />
      <Members title="Claims" members={claims} />
      <Field label="The token">
        <textarea rows={3} readOnly value={text} />
      </Field>
    </details>
  );
}

function Members({ title, members }: { title: string; members: Member[] | undefined }) {
  if (members === undefined) return <p class="bad">{title}: this part is not a JSON object in base64url.</p>;
  return (
    <table class="members">
      <caption>{title}</caption>
      <tbody>
        {members.map(({ name, value, meaning }) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>
              <code>{value}</code>
            </td>
            <td class="faint">{meaning}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A control with its label. */
export function Field({
  label,
  children,
  class: className = "",
}: {
  label: string;
  children: VNode<{ id?: string }>;
  class?: string;
}) {
  const id = useId();
  return (
    <div class={`field ${className}`}>
      <label for={id}>{label}</label>
      {cloneElement(children, { id })}
    </div>
  );
}
