/** The result of the request: the answer, then the steps that led to it, each with its line of YAML. */
import type { ComponentChildren } from "preact";
import { formatPosition, type Position } from "../../tools/diagnostics.ts";
import { formatLocation, nameOfRule } from "../../tools/explain/names.ts";
import type { ConditionStep, RuleStep } from "../../tools/explain/rules.ts";
import type { TokenStep } from "../../tools/explain/tokens.ts";
import { readable } from "../../tools/host/bytes.ts";
import type { Evaluated, Explained, Issuer } from "../engine/evaluate.ts";
import { explained, formProblem, latency, lightUp } from "./state.ts";

export function Answer() {
  const found = explained.value;
  const problem = formProblem.value;
  const errors = (found?.diagnostics ?? []).filter(({ severity }) => severity === "error");
  const { evaluated } = found ?? {};
  return (
    <section
      class="card answer"
      aria-labelledby="answer-title"
      aria-live="polite"
      data-number={latency.value?.number}
    >
      <h2 id="answer-title">
        Answer{" "}
        {latency.value !== undefined && (
          <small class="faint">{latency.value.milliseconds.toFixed(0)} ms after the last key</small>
        )}
      </h2>
      {found === undefined && problem === undefined && <p class="faint">There is no answer yet.</p>}
      {problem !== undefined && <p class="bad">{problem}</p>}
      {problem === undefined && errors.length > 0 && <Problems diagnostics={errors} />}
      {problem === undefined && evaluated && found && <Verdict evaluated={evaluated} found={found} />}
    </section>
  );
}

function Problems({ diagnostics }: { diagnostics: Explained["diagnostics"] }) {
  return (
    <>
      <p class="bad">No answer, because of an error:</p>
      <ul class="plain">
        {diagnostics.slice(0, 20).map((one) => (
          <li key={`${formatPosition(one)} ${one.message}`}>
            {one.file !== "request" && <At at={one} />} {one.message}
          </li>
        ))}
      </ul>
    </>
  );
}

function Verdict({ evaluated, found }: { evaluated: Evaluated; found: Explained }) {
  const { explanation, because, headersNotSet } = evaluated;
  const { outcome, decidedBy, changes, authentication, actions } = explanation;
  const { answer, upstream } = outcome;
  return (
    <>
      <p class={`verdict ${answer ? "bad" : "good"}`}>
        {answer ? (
          <>
            <b>{answer.status}</b> {readable(answer.body)}
          </>
        ) : (
          <>
            <b>200</b> forwarded to the service
          </>
        )}
      </p>
      <p>
        {decidedBy ? (
          <>
            {nameOfRule(decidedBy.rule)} (<At at={decidedBy.at} />) {answer ? "refuses" : "allows"} it
          </>
        ) : (
          because
        )}
      </p>
      {answer && <Headers title="Headers to the client" headers={answer.headers} />}
      {upstream && (
        <Headers
          title="Headers to the service"
          headers={upstream.headers}
          added={new Set(changes?.added.map(([name]) => name))}
          removed={changes?.removed ?? []}
        />
      )}
      {headersNotSet.map(({ header, because: why }) => (
        <p key={header} class="warn">
          The header {header} is not set: {why}
        </p>
      ))}
      <h3>Steps</h3>
      <ol class="steps">
        {explanation.custom.map(({ provider, isAsked, rules }) => (
          <li key={provider}>
            <b>CUSTOM</b>{" "}
            {isAsked
              ? `${provider} is asked first. Its answer is unknown here. The steps below apply if it allows the request.`
              : `${provider} is not asked: no rule of its policies matches.`}
            <ul class="plain">
              {rules.slice(0, 20).map((rule) => (
                <Rule key={rule.id} rule={rule} />
              ))}
            </ul>
          </li>
        ))}
        {authentication?.preflight && <li>This is a CORS preflight, which is not authenticated.</li>}
        {authentication?.steps.map((step, index) => (
          <li key={`${index} ${step.provider}`}>
            <Step isGood={step.refusal === ""}>
              {step.issuer === undefined ? "Any issuer" : `Issuer ${step.issuer}`}{" "}
              <At at={placeOf(step.provider, found)} />
            </Step>
            {step.tokens.length === 0 && (
              <p class="faint">No token found: looked in {step.places.map(formatLocation).join(", ")}.</p>
            )}
            {step.tokens.map((token, number) => (
              <TokenSteps key={number} token={token} />
            ))}
          </li>
        ))}
        {actions?.map(({ action, rules }) => (
          <li key={action}>
            <b>{action}</b>
            {rules.length === 0 && <p class="faint">No rule.</p>}
            <ul class="plain">
              {rules.map((rule) => (
                <Rule key={rule.id} rule={rule} />
              ))}
            </ul>
            {(evaluated.hidden[action] ?? 0) > 0 && (
              <p class="faint">{evaluated.hidden[action]} more rules do not match.</p>
            )}
          </li>
        ))}
      </ol>
      {answer && answer.details !== "" && (
        <p class="faint">Response code details: {readable(answer.details)}</p>
      )}
    </>
  );
}

function placeOf(provider: string, { issuers = [] }: Explained): Position | undefined {
  return issuers.find((one: Issuer) => one.name === provider)?.at;
}

function TokenSteps({ token }: { token: TokenStep }) {
  const { place, keys = [], remembered, refusal, reason } = token;
  return (
    <div class="inner">
      <p>Token in {formatLocation(place)}</p>
      {remembered && <p class="faint">The token is in the cache, so no key was needed.</p>}
      {keys.map(({ index, kty, alg, kid, outcome }) => (
        <p key={index} class="faint">
          Key {index} (
          {[kty, alg, kid === undefined ? "without kid" : `kid ${kid}`].filter(Boolean).join(", ")}):{" "}
          {outcome}
        </p>
      ))}
      <Step isGood={refusal === ""}>
        {refusal === "" ? "verified" : reason === undefined ? refusal : `${refusal}: ${reason}`}
      </Step>
    </div>
  );
}

function Rule({ rule }: { rule: RuleStep }) {
  const { id, at, matched, asked, dryRun, from, to = [], when = [] } = rule;
  const conditions = [...(from ?? []).flat(), ...to.flat(), ...when];
  return (
    <li class={asked ? "" : "faint"}>
      <Step isGood={matched}>
        {nameOfRule(id)}
        {dryRun ? " (dry-run)" : ""} {matched ? "matches" : "does not match"} <At at={at} />{" "}
        {!asked && "(not asked: it was decided before)"}
      </Step>
      {from === undefined && <p class="faint">A policy without rules matches nothing.</p>}
      {from !== undefined && conditions.length === 0 && (
        <p class="faint">A rule without conditions matches everything.</p>
      )}
      <Alternatives name="from" entries={from ?? []} />
      <Alternatives name="to" entries={to} />
      {when.map((condition, index) => (
        <Condition key={index} condition={condition} />
      ))}
    </li>
  );
}

function Alternatives({ name, entries }: { name: string; entries: readonly ConditionStep[][] }) {
  return (
    <>
      {entries.map((conditions, index) => (
        <div key={index} class="inner">
          {entries.length > 1 && (
            <p class="faint">
              {name} {index + 1} of {entries.length}, any of which is enough
            </p>
          )}
          {conditions.map((condition, number) => (
            <Condition key={number} condition={condition} />
          ))}
        </div>
      ))}
    </>
  );
}

function Condition({ condition: { name, at, values, verdict, actual } }: { condition: ConditionStep }) {
  const shown = values.slice(0, 5).join(", ") + (values.length > 5 ? `, … (${values.length})` : "");
  return (
    <div class="inner">
      <Step isGood={verdict}>
        <code>
          {name} {shown}
        </code>{" "}
        <At at={at} /> <span class="faint">the request: {actual}</span>
      </Step>
    </div>
  );
}

function Step({ isGood, children }: { isGood: boolean; children: ComponentChildren }) {
  return (
    <p class="step">
      <Sign isGood={isGood} />
      <span>{children}</span>
    </p>
  );
}

/** Yes or no as a drawing, because not every font has a tick. */
export function Sign({ isGood }: { isGood: boolean }) {
  return (
    <svg
      class={`sign ${isGood ? "good" : "bad"}`}
      viewBox="0 0 16 16"
      role="img"
      aria-label={isGood ? "yes" : "no"}
    >
      <path d={isGood ? "M2 9l4 4 8-10" : "M3 3l10 10M13 3L3 13"} />
    </svg>
  );
}

/** A place in the policies. A click highlights it. */
export function At({ at }: { at: Position | undefined }) {
  if (at === undefined || at.file === "") return null;
  return (
    <button type="button" class="at" onClick={() => lightUp(at)}>
      {formatPosition({ ...at, column: 0 })}
    </button>
  );
}

function Headers({
  title,
  headers,
  added = new Set(),
  removed = [],
}: {
  title: string;
  headers: readonly (readonly [string, string])[];
  added?: ReadonlySet<string>;
  removed?: readonly string[];
}) {
  return (
    <table class="members">
      <caption>{title}</caption>
      <tbody>
        {headers.map(([name, value], index) => (
          <tr key={index} class={added.has(name) ? "good" : ""}>
            <th scope="row">
              {added.has(name) && "+ "}
              {name}
            </th>
            <td>
              <code>{readable(value)}</code>
            </td>
          </tr>
        ))}
        {removed.map((name) => (
          <tr key={name} class="bad">
            <th scope="row">− {name}</th>
            <td class="faint">removed</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
