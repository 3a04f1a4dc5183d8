/** Makes a link to the state of the playground, and reads the link that the page was opened with. */
import { signal } from "@preact/signals";
import { useRef, useState } from "preact/hooks";
import { Copy } from "../parts/copy.tsx";
import type { Content } from "../playground/content.ts";
import { isLink, type Link, LinkError, readLink, writeLink } from "./link.ts";

/** Why the page did not open the link of its address. */
const refused = signal("");

/**
 * Opens the link of the page's address, and every link that is followed later.
 *
 * @param open takes the state
 */
export function followLinks(open: (content: Content) => void): void {
  const follow = async () => {
    refused.value = "";
    if (!isLink(location.hash)) return;
    try {
      open(await readLink(location.hash));
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      refused.value = error.message;
    }
  };
  addEventListener("hashchange", () => void follow());
  void follow();
}

/** Shows why a link was not opened. */
export function RefusedLink() {
  if (refused.value === "") return null;
  return (
    <p class="banner bad" role="alert">
      The link was not opened: {refused.value}.
    </p>
  );
}

/** @param content returns the state for the link, at the time of the click */
export function Share({ content }: { content: () => Content }) {
  const [link, setLink] = useState<Link & { isWhole: boolean }>();
  const input = useRef<HTMLInputElement>(null);
  const make = async (isWhole: boolean) => {
    const made = await writeLink(content(), isWhole);
    // The address bar has the link too. This is not a navigation, so nothing is opened again.
    history.replaceState(null, "", made.fragment);
    setLink({ ...made, isWhole });
  };
  const url = () => `${location.href.replace(/#.*/s, "")}${link?.fragment ?? ""}`;
  return (
    <div class="share">
      <button type="button" onClick={() => void make(false)}>
        Make a link
      </button>
      {link && (
        <div class="card" role="status">
          <label for="link">The link. The state is after #, which browsers do not send to servers</label>
          <input
            id="link"
            ref={input}
            readOnly
            value={url()}
            onFocus={(event) => event.currentTarget.select()}
          />
          {link.leftOut.length > 0 && (
            <p>
              Left out: {link.leftOut.join(", ")}.{" "}
              <button type="button" onClick={() => void make(true)}>
                Put them in
              </button>
            </p>
          )}
          {link.isWhole && <p class="warn">This link contains private keys or tokens: do not share it.</p>}
          <p class="buttons">
            <Copy text={url} select={() => input.current?.focus()} />
            <button type="button" class="quiet" onClick={() => setLink(undefined)}>
              Close
            </button>
          </p>
        </div>
      )}
    </div>
  );
}
