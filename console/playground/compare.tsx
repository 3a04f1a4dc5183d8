/** Two versions of the policies: a file side by side, and every class of requests whose answer changes. */
import { MergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "preact/hooks";
import { formatPosition, type Position } from "../../tools/diagnostics.ts";
import type { ChangedClass, Compared, SideAnswer } from "../engine/compare.ts";
import { At } from "./answer.tsx";
import { viewing } from "./editor.ts";
import { active, baseline, compared, draft, policies } from "./state.ts";
import { draftOf } from "./witness.ts";

/** More are not read. */
const MAX_SHOWN = 30;

/** Starts and ends the comparison. */
export function CompareButton() {
  if (baseline.value === undefined) {
    return (
      <button
        type="button"
        onClick={() => {
          baseline.value = policies.value;
        }}
      >
        Compare from here
      </button>
    );
  }
  return (
    <button
      type="button"
      aria-pressed="true"
      onClick={() => {
        baseline.value = undefined;
      }}
    >
      End comparison
    </button>
  );
}

export function Comparison() {
  const host = useRef<HTMLDivElement>(null);
  const file = active.value;
  const before = baseline.value?.find(({ name }) => name === file?.name)?.text;
  const after = file?.text;
  useEffect(() => {
    if (host.current === null || before === undefined || after === undefined) return;
    const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: "open" });
    const side = (doc: string, label: string) => ({
      doc,
      extensions: [
        lineNumbers(),
        viewing(),
        EditorView.lineWrapping,
        EditorState.readOnly.of(true),
        EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
      ],
    });
    const view = new MergeView({
      ...{ a: side(before, "Before"), b: side(after, "Now"), root, parent: root },
      collapseUnchanged: { margin: 3, minSize: 6 },
    });
    return () => view.destroy();
  }, [before, after]);
  if (baseline.value === undefined) return null;
  return (
    <section class="card" aria-labelledby="compare-title">
      <h2 id="compare-title">Before and now</h2>
      {before !== undefined && before === after ? (
        <p class="faint">
          Nothing in {file?.name} has changed. Edit it: the page shows which answers change.
        </p>
      ) : null}
      <div ref={host} class="comparison" hidden={before === undefined || before === after} />
      <Changes found={compared.value} />
    </section>
  );
}

/** Which requests are answered differently now. */
function Changes({ found }: { found: Compared | string | undefined }) {
  if (found === undefined) return <p class="faint">Comparing …</p>;
  if (typeof found === "string") return <p class="bad">The versions were not compared: {found}</p>;
  const { diagnostics, equal, classes, undecided, isCut } = found;
  const [error] = diagnostics;
  if (error)
    return (
      <p class="bad">
        The versions were not compared, because of an error: <At at={error} /> {error.message}
      </p>
    );
  return (
    <div class="changes">
      <p role="status" class={equal ? "good" : ""}>
        {equal
          ? "Every request gets the same answer as before."
          : classes.length === 0
            ? "No request was found that gets another answer."
            : `${classes.length} kind${classes.length === 1 ? "" : "s"} of requests get${classes.length === 1 ? "s" : ""} another answer than before.`}
      </p>
      <ul class="plain">
        {classes.slice(0, MAX_SHOWN).map((one) => (
          <ChangedRequests key={keyOf(one)} found={one} />
        ))}
      </ul>
      {(isCut || classes.length > MAX_SHOWN) && <p class="warn">There are more.</p>}
      {undecided.slice(0, 3).map((reason) => (
        <p key={reason} class="warn">
          Not decided: {reason}
        </p>
      ))}
      {undecided.length > 0 && (
        <p class="faint">
          <code>jwtgate diff</code> has no limit of time.
        </p>
      )}
    </div>
  );
}

function keyOf({ change, lines, before, now }: ChangedClass): string {
  const places = [before.at, now.at].map((at) => (at ? formatPosition(at) : ""));
  return [change, ...lines, ...places].join("\n");
}

const TONES: Readonly<Record<ChangedClass["change"], string>> = {
  opened: "bad",
  closed: "good",
  changed: "warn",
  forwarded: "warn",
};

function ChangedRequests({ found }: { found: ChangedClass }) {
  const { change, words, lines, before, now, upstream } = found;
  const [first = "", ...more] = lines;
  const request = draftOf(found, draft.value.setting);
  return (
    <li>
      <p class="line">
        <b class={TONES[change]}>{words}</b> <span class="grow">{first}</span>
        {request && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              draft.value = request;
            }}
          >
            Explain this request
          </button>
        )}
      </p>
      <p class="faint">{[...more, ...upstream].join("; ")}</p>
      <Side name="Before" side={before} isNow={false} />
      <Side name="Now" side={now} isNow={true} />
    </li>
  );
}

function Side({ name, side, isNow }: { name: string; side: SideAnswer; isNow: boolean }) {
  const { answer, reason, at } = side;
  return (
    <p class="inner">
      {name}: <b>{answer}</b>
      {reason === "" ? "" : `, ${reason}`} <Where at={at} isNow={isNow} />
    </p>
  );
}

/** The place that decided. The editor has only the policies of now. */
function Where({ at, isNow }: { at: Position | undefined; isNow: boolean }) {
  if (at === undefined) return null;
  return isNow ? <At at={at} /> : <span class="faint">{formatPosition(at)}</span>;
}
