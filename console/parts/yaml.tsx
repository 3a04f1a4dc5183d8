/** YAML in the editor's colours, read-only. */
import { yamlLanguage } from "@codemirror/lang-yaml";
import { highlightCode, tagHighlighter, tags } from "@lezer/highlight";
import type { VNode } from "preact";
import { useMemo } from "preact/hooks";

const CLASSES = tagHighlighter([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], class: "code-name" },
  { tag: [tags.string, tags.special(tags.string)], class: "code-string" },
  { tag: tags.comment, class: "code-comment" },
  { tag: [tags.meta, tags.separator, tags.punctuation, tags.bracket], class: "code-faint" },
]);

/** Longer texts have no colours, because each coloured word is an element of the page. */
const MAX_LENGTH = 100_000;

/** @param text to show, unchanged */
export function Yaml({ text }: { text: string }) {
  const parts = useMemo(() => partsOf(text), [text]);
  return <>{parts}</>;
}

function partsOf(text: string): (string | VNode)[] {
  if (text.length > MAX_LENGTH) return [text];
  const parts: (string | VNode)[] = [];
  highlightCode(
    text,
    yamlLanguage.parser.parse(text),
    CLASSES,
    (part, classes) =>
      parts.push(
        classes === "" ? (
          part
        ) : (
          <span key={parts.length} class={classes}>
            {part}
          </span>
        ),
      ),
    () => parts.push("\n"),
  );
  return parts;
}
