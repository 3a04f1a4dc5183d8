/** A button that copies a text, and shows whether that succeeded. */
import { useState } from "preact/hooks";

/** How long the button shows that it copied, in milliseconds. */
const SHOWN_MS = 2000;

/**
 * @param text what is copied
 * @param select selects the text in the page, for a browser that does not let pages copy
 */
export function Copy({ text, select }: { text: () => string; select: () => void }) {
  const [state, setState] = useState<"" | "copied" | "refused">("");
  const copy = async () => {
    try {
      // A page that comes from another machine by plain HTTP has no clipboard, and a browser may ask the user or refuse.
      await navigator.clipboard.writeText(text());
      setState("copied");
      setTimeout(() => setState((now) => (now === "copied" ? "" : now)), SHOWN_MS);
    } catch {
      select();
      setState("refused");
    }
  };
  return (
    <span class="copy">
      <button type="button" onClick={() => void copy()}>
        Copy
      </button>
      <span role="status" class={state === "refused" ? "bad" : "good"}>
        {state === "copied" && "Copied."}
        {state === "refused" && "The browser refused. The text is selected: copy it with Ctrl+C or ⌘C."}
      </span>
    </span>
  );
}
