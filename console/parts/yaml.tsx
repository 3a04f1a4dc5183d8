/** YAML in the colours of the editor, for texts that are only looked at. */
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

/** Longer texts are plain: each coloured word is an element of the page. */
const MAX_LENGTH = 100_000;

/** @param text to show, as it is */
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
