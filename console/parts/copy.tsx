/** A button that copies a text, and says whether it did. */
import { useState } from "preact/hooks";

/** How long the button says that it copied, in milliseconds. */
const SHOWN_MS = 2000;

/**
 * @param text what is copied
 * @param select selects the text in the page, for a browser that does not let pages copy
 */
export function Copy({ text, select }: { text: () => string; select: () => void }) {
  const [state, setState] = useState<"" | "copied" | "refused">("");
  const copy = async () => {
    try {
      // Pages that come by plain HTTP from another machine have no clipboard, and browsers ask the user or refuse.
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
