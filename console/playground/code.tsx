/** The editor of the open file. */
import { setDiagnostics } from "@codemirror/lint";
import { EditorState, type Text } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Position } from "../../tools/diagnostics.ts";
import { editing, type LineMark, lightLine, markLines } from "./editor.ts";
import { active, activeName, diagnostics, edit, findings, isTestFile, lit, ran } from "./state.ts";

/** An editor in a shadow tree. Its styles there need no exception from the page's content security policy. */
export function Code() {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (host.current === null) return;
    const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: "open" });
    return show(root);
  }, []);
  return <div class="code" ref={host} />;
}

function show(root: ShadowRoot): () => void {
  /** The states of hidden files: their history and their selection. */
  const states = new Map<string, EditorState>();
  let shown = "";
  const create = (name: string, text: string) =>
    EditorState.create({
      doc: text,
      extensions: [
        editing(isTestFile(name)),
        EditorView.contentAttributes.of({ "aria-label": `Text of ${name}`, tabindex: "0" }),
        EditorView.updateListener.of(({ docChanged, state }) => {
          if (docChanged) edit(shown, state.doc.toString());
        }),
      ],
    });
  const view = new EditorView({ root, parent: root });
  const decorate = () => {
    view.dispatch(setDiagnostics(view.state, lintsOf(shown, view.state.doc)));
    view.dispatch({ effects: markLines.of(isTestFile(shown) ? new Map() : reachedLines(shown)) });
  };
  const stops = [
    effect(() => {
      const file = active.value;
      if (file === undefined) {
        shown = "";
        view.setState(create("no file", ""));
        return;
      }
      const isOther = file.name !== shown;
      if (isOther && shown !== "") states.set(shown, view.state);
      const known = isOther ? states.get(file.name) : view.state;
      shown = file.name;
      if (known !== undefined && known.doc.toString() === file.text) {
        if (isOther) view.setState(known);
      } else {
        view.setState(create(file.name, file.text));
      }
      if (isOther) decorate();
    }),
    effect(() => {
      // The messages about the text change.
      [diagnostics.value, findings.value, ran.value];
      decorate();
    }),
    effect(() => {
      const at = lit.value;
      const isHere = at !== undefined && at.file === activeName.value && at.line > 0;
      view.dispatch({ effects: lightLine.of(isHere ? at.line : undefined) });
      if (!isHere || at.line > view.state.doc.lines) return;
      const { from } = view.state.doc.line(at.line);
      view.dispatch({ effects: EditorView.scrollIntoView(from, { y: "center" }) });
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    view.destroy();
  };
}

/** The findings of the compiler and the reviewer on a file. */
function lintsOf(name: string, doc: Text) {
  const found = [
    ...diagnostics.value.map((one) => ({ ...one, source: "compile" })),
    ...findings.value.map((one) => ({ ...one, source: one.code, message: `${one.message}. ${one.remedy}` })),
    ...(isTestFile(name) ? (ran.value?.diagnostics ?? []).map((one) => ({ ...one, source: "test" })) : []),
  ];
  return found
    .filter(({ file }) => file === name)
    .map(({ message, severity, source, ...at }) => ({ ...rangeOf(doc, at), severity, message, source }));
}

/** The word or the value at a place. */
function rangeOf(doc: Text, { line: number, column }: Position): { from: number; to: number } {
  const line = doc.line(Math.min(Math.max(1, number), doc.lines));
  const from = Math.min(line.from + Math.max(0, column - 1), line.to);
  const length = /^[^\s,\]}]*/.exec(doc.sliceString(from, line.to))?.[0].length ?? 0;
  return { from, to: number === 0 ? from : Math.max(from + length, from) };
}

/** The rules of a file, with the number of saved requests that reach each. */
function reachedLines(name: string): Map<number, LineMark> {
  const reached = (ran.value?.reach ?? []).filter(({ at }) => at.file === name);
  return new Map(
    reached.map(({ at: { line }, matched, asked }) => {
      const title =
        matched > 0
          ? `${matched} of the ${asked} saved request${asked === 1 ? "" : "s"} that reach this rule match${matched === 1 ? "es" : ""} it`
          : "No saved request matches this rule";
      return [
        line,
        { symbol: matched > 0 ? String(matched) : "0", title, tone: matched > 0 ? "good" : "faint" },
      ];
    }),
  );
}
