/** Saved requests: a test file as a table. The page runs it after every change. */
import { useState } from "preact/hooks";
import { formatPosition } from "../../tools/diagnostics.ts";
import type { Saved } from "../engine/evaluate.ts";
import { At, Sign } from "./answer.tsx";
import { read } from "./draft.ts";
import { download } from "./files.tsx";
import { baseline, draft, explained, lightUp, ran, ranBaseline, save, tests } from "./state.ts";

export function SavedRequests() {
  const [problem, setProblem] = useState("");
  const file = tests.value;
  const { cases = [], diagnostics = [] } = ran.value ?? {};
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const failed = cases.filter(({ result }) => result.failures.length > 0).length;
  const before = new Map(ranBaseline.value?.cases.map((one) => [keyOf(one), one.result.answer]));
  const changed = cases.filter(
    (one) => before.has(keyOf(one)) && before.get(keyOf(one)) !== one.result.answer,
  );
  const keep = async () => {
    try {
      setProblem("");
      await save();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <section class="card saved" aria-labelledby="saved-title">
      <div class="line heading">
        <h2 id="saved-title" class="grow">
          Saved requests{" "}
          {cases.length > 0 && (
            <small class={failed > 0 ? "bad" : "good"}>
              {cases.length - failed} of {cases.length} as expected
            </small>
          )}
        </h2>
        <button type="button" disabled={explained.value?.evaluated === undefined} onClick={() => void keep()}>
          Save this request
        </button>
        {file && (
          <button type="button" class="quiet" onClick={() => download(file.name, file.text)}>
            Download {file.name}
          </button>
        )}
      </div>
      {problem !== "" && (
        <p class="bad" role="alert">
          {problem}
        </p>
      )}
      {file === undefined && (
        <p class="faint">
          None yet. Saved requests are a test file, which <code>jwtgate test</code> can run.
        </p>
      )}
      {errors.slice(0, 5).map((one) => (
        <p key={`${formatPosition(one)} ${one.message}`} class="bad">
          <At at={one} /> {one.message}
        </p>
      ))}
      {baseline.value && cases.length > 0 && (
        <p role="status">
          {changed.length === 0
            ? "The answers to all saved requests are the same as before."
            : `The answer${changed.length === 1 ? "" : "s"} to ${changed.length} saved request${changed.length === 1 ? "" : "s"} changed.`}
        </p>
      )}
      {cases.length > 0 && (
        <section class="scroll" aria-label="Table of saved requests">
          <table>
            <thead>
              <tr>
                <th scope="col">Request</th>
                {baseline.value && <th scope="col">Before</th>}
                <th scope="col">Answer</th>
                <th scope="col" class="place">
                  Decided by
                </th>
                <th scope="col">As expected</th>
              </tr>
            </thead>
            <tbody>
              {cases.map((one) => (
                <Row key={keyOf(one)} saved={one} before={before.get(keyOf(one))} />
              ))}
            </tbody>
          </table>
        </section>
      )}
    </section>
  );
}

function keyOf({ result: { name, table, at } }: Saved): string {
  return `${table ?? ""} ${name} ${formatPosition(at)}`;
}

function Row({ saved, before }: { saved: Saved; before: string | undefined }) {
  const { result } = saved;
  const isChanged = before !== undefined && before !== result.answer;
  const [failure] = result.failures;
  return (
    <tr class={isChanged ? "changed" : ""}>
      <th scope="row">
        <button
          type="button"
          class="link"
          onClick={() => {
            const { content, tokens = {} } = ran.value ?? {};
            const name = result.table ?? result.name;
            if (content) draft.value = read(saved.written, name, content, tokens);
            lightUp(result.at);
          }}
        >
          {result.name}
        </button>
      </th>
      {baseline.value && <td>{before ?? "not asked"}</td>}
      <td>{result.skipped === undefined ? result.answer : "not run"}</td>
      <td class="place">
        <At at={result.decidedBy?.at} />
      </td>
      <td>
        {result.skipped !== undefined ? (
          <span class="faint">{result.skipped}</span>
        ) : failure === undefined ? (
          <Sign isGood={true} />
        ) : (
          <span class="bad">
            <Sign isGood={false} /> {failure.what}: {failure.expected} expected
          </span>
        )}
      </td>
    </tr>
  );
}
