/** Two versions of a file side by side: before and now. */
import { MergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "preact/hooks";
import { viewing } from "./editor.ts";
import { active, baseline, policies } from "./state.ts";

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
  if (baseline.value === undefined || before === undefined) return null;
  return (
    <section class="card" aria-labelledby="compare-title">
      <h2 id="compare-title">Before and now</h2>
      {before === after ? (
        <p class="faint">
          Nothing in {file?.name} has changed. Edit it: the saved requests are compared with before.
        </p>
      ) : null}
      <div ref={host} class="comparison" hidden={before === after} />
    </section>
  );
}
