/** The editor's parts: completion, hover texts, marks at lines, and styles. */
import {
  autocompletion,
  type CompletionContext,
  type CompletionResult,
  closeBrackets,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yamlLanguage } from "@codemirror/lang-yaml";
import {
  bracketMatching,
  foldGutter,
  HighlightStyle,
  type IndentContext,
  indentService,
  Language,
  syntaxHighlighting,
} from "@codemirror/language";
import { lintGutter, lintKeymap } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { type Extension, RangeSet, StateEffect, StateField, type Text } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  GutterMarker,
  gutter,
  highlightActiveLine,
  highlightSpecialChars,
  hoverTooltip,
  keymap,
  lineNumbers,
  type Tooltip,
} from "@codemirror/view";
import { type Input, NodeType, Parser, type PartialParse, Tree, type TreeFragment } from "@lezer/common";
import { tags } from "@lezer/highlight";
import { contextAt } from "./context.ts";
import { type Entry, fieldsAt, testFieldsAt, testValuesAt, textOf, valuesOf } from "./reference.ts";

/** Highlights a line; undefined: none. */
export const lightLine = StateEffect.define<number | undefined>();
/** How many saved requests reach and match each rule, by the line of the rule. */
export const markLines = StateEffect.define<ReadonlyMap<number, LineMark>>();

/** The message in the margin of a line. */
export interface LineMark {
  symbol: string;
  title: string;
  tone: "good" | "faint";
}

/** The extensions of an editor of policies or tests. */
export function editing(isTests: boolean): Extension {
  return [
    lineNumbers(),
    foldGutter(),
    lintGutter(),
    history(),
    drawSelection(),
    indentService.of(indentation),
    bracketMatching(),
    closeBrackets(),
    highlightActiveLine(),
    highlightSelectionMatches(),
    keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, ...searchKeymap, ...lintKeymap]),
    autocompletion({ override: [(context) => complete(context, isTests)] }),
    hoverTooltip((view, position) => hover(view, position, isTests), { hoverTime: 250 }),
    EditorView.domEventHandlers({ beforeinput: replaceLines }),
    litLines,
    marks,
    viewing(),
  ];
}

/** A key whose value is on the next lines, or an item that begins on the next line. */
const OPENS_BLOCK = /(?:^|\s)(?:[^#'"]*|"[^"]*"|'[^']*'):(?:\s+[|>][-+\d]*)?\s*(?:#.*)?$/;

/** The column of a line after this one: that of the key in it, or two more if the value of the key follows. */
function indentation(context: IndentContext, position: number): number {
  const { text, from } = context.lineAt(position, -1);
  const before = text.slice(0, position - from);
  const column = /^\s*(?:-\s+)*/.exec(before)?.[0].length ?? 0;
  return OPENS_BLOCK.test(before.slice(column)) ? column + 2 : column;
}

/**
 * Replaces several selected lines. If the browser does it, it joins the lines with inline styles, which the page's content
 * security policy forbids.
 */
function replaceLines(event: InputEvent, view: EditorView): boolean {
  const { from, to } = view.state.selection.main;
  const hasLines = view.state.doc.lineAt(from).number < view.state.doc.lineAt(to).number;
  if (event.inputType !== "insertText" || event.data === null || event.isComposing) return false;
  // A keyboard on a screen may insert a whole text at once.
  if (!hasLines && !event.data.includes("\n")) return false;
  view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
  return true;
}

/** YAML's parser, without texts that are nested too deeply: it builds its tree by recursion. */
class DeepParser extends Parser {
  override createParse(
    input: Input,
    fragments: readonly TreeFragment[],
    ranges: readonly { from: number; to: number }[],
  ): PartialParse {
    const parse = yamlLanguage.parser.createParse(input, fragments, ranges);
    const advance = parse.advance.bind(parse);
    parse.advance = () => {
      try {
        return advance();
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        // Without colours and folding. The compiler refuses such a text with a message.
        return new Tree(NodeType.none, [], [], input.length);
      }
    };
    return parse;
  }
}

const YAML = new Language(yamlLanguage.data, new DeepParser(), [], "yaml");

/** The extensions of a read-only text. */
export function viewing(): Extension {
  // Shows control characters and marks of direction, which can make a policy look like another one.
  return [YAML, highlightSpecialChars(), syntaxHighlighting(COLOURS), LOOK];
}

function complete(context: CompletionContext, isTests: boolean): CompletionResult | null {
  const { doc } = context.state;
  const line = doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const word = /[\w.[\]-]*$/.exec(before)?.[0] ?? "";
  if (word === "" && !context.explicit) return null;
  // A dash at the beginning of an item is not part of a word.
  const typed = word.replace(/^-+/, "");
  const { path, field, kind } = contextAt(linesTo(doc, line.number), before);
  const options = (entries: readonly Entry[], suffix: string) =>
    entries.map(({ name, text }) => ({
      label: name,
      apply: `${name}${suffix}`,
      type: field === undefined ? "property" : "enum",
      ...(text !== undefined && { info: text }),
    }));
  const found =
    field === undefined
      ? options(isTests ? testFieldsAt(path) : fieldsAt(path, kind), ": ")
      : options(isTests ? testValuesAt([...path, field]) : valuesOf(field), "");
  if (found.length === 0) return null;
  return { from: context.pos - typed.length, options: found, validFor: /^[\w.[\]-]*$/ };
}

function hover(view: EditorView, position: number, isTests: boolean): Tooltip | null {
  const line = view.state.doc.lineAt(position);
  const found = [...line.text.matchAll(/[\w.]+(?:\[[^\]]*\])*/g)].find(
    ({ index, 0: word }) => line.from + index <= position && position <= line.from + index + word.length,
  );
  if (found === undefined) return null;
  const [name] = found;
  const from = line.from + found.index;
  const { path } = contextAt(linesTo(view.state.doc, line.number), line.text.slice(0, found.index));
  const text = isTests ? testFieldsAt(path).find((one) => one.name === name)?.text : textOf(name);
  if (text === undefined) return null;
  const create = () => {
    const dom = document.createElement("div");
    const title = document.createElement("b");
    title.textContent = name;
    dom.append(title, ` ${text}`);
    dom.className = "cm-reference";
    return { dom };
  };
  return { pos: from, end: from + name.length, above: true, create };
}

/** The lines of a text up to a line; in a large text, those of the last few resources. */
const MAX_LINES = 2000;

function linesTo(doc: Text, number: number): string[] {
  const first = Math.max(1, number - MAX_LINES);
  return doc.sliceString(doc.line(first).from, doc.line(number).to).split("\n");
}

const LIT = Decoration.line({ class: "cm-lit" });

const litLines = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(decorations, transaction) {
    let lines = decorations.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(lightLine)) continue;
      const { doc } = transaction.state;
      const number = effect.value ?? 0;
      lines =
        number >= 1 && number <= doc.lines
          ? Decoration.set(LIT.range(doc.line(number).from))
          : Decoration.none;
    }
    return lines;
  },
  provide: (field) => EditorView.decorations.from(field),
});

class Mark extends GutterMarker {
  constructor(private readonly mark: LineMark) {
    super();
  }

  override eq(other: Mark): boolean {
    return other.mark.symbol === this.mark.symbol && other.mark.title === this.mark.title;
  }

  override toDOM(): HTMLElement {
    const dom = document.createElement("span");
    dom.textContent = this.mark.symbol;
    dom.title = this.mark.title;
    dom.className = `cm-reach cm-reach-${this.mark.tone}`;
    return dom;
  }
}

const markField = StateField.define<RangeSet<Mark>>({
  create: () => RangeSet.empty,
  update(set, transaction) {
    let marked = set.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(markLines)) continue;
      const { doc } = transaction.state;
      const lines = [...effect.value]
        .filter(([line]) => line >= 1 && line <= doc.lines)
        .sort(([a], [b]) => a - b);
      marked = RangeSet.of(lines.map(([line, mark]) => new Mark(mark).range(doc.line(line).from)));
    }
    return marked;
  },
});

const marks: Extension = [
  markField,
  gutter({ class: "cm-reaches", markers: (view) => view.state.field(markField) }),
];

const COLOURS = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-name)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: tags.comment, color: "var(--faint)", fontStyle: "italic" },
  { tag: [tags.meta, tags.separator, tags.punctuation, tags.bracket], color: "var(--faint)" },
]);

const LOOK = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--ground)", fontSize: "0.8125rem" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": {
    backgroundColor: "var(--raised)",
    color: "var(--faint)",
    borderRight: "1px solid var(--line)",
  },
  ".cm-activeLine, .cm-activeLineGutter": {
    backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)",
  },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)",
  },
  ".cm-lit": { backgroundColor: "var(--lit)" },
  ".cm-reaches": { minWidth: "1.6em" },
  ".cm-reach": { padding: "0 0.2em", fontWeight: "600" },
  ".cm-reach-good": { color: "var(--good)" },
  ".cm-reach-faint": { color: "var(--faint)" },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    color: "var(--text)",
    border: "1px solid var(--line)",
    borderRadius: "6px",
    maxWidth: "min(34em, 90vw)",
    fontFamily: "var(--sans)",
  },
  ".cm-reference, .cm-tooltip .cm-completionInfo": { padding: "0.4em 0.7em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": {
    backgroundColor: "var(--accent)",
    color: "var(--ground)",
  },
  ".cm-panels": { backgroundColor: "var(--raised)", color: "var(--text)" },
  ".cm-foldPlaceholder": {
    backgroundColor: "var(--raised)",
    color: "var(--faint)",
    borderColor: "var(--line)",
  },
});
