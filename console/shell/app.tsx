/** The frame around wizard and playground: title, tabs, theme. */
import type { ComponentChildren } from "preact";
import { engine } from "../engine/client.ts";
import { RefusedLink, Share } from "../links/share.tsx";
import type { Content } from "../playground/content.ts";
import { Playground } from "../playground/playground.tsx";
import { currentContent } from "../playground/state.ts";
import { form } from "../wizard/state.ts";
import { Wizard } from "../wizard/wizard.tsx";
import { nextTheme, theme } from "./theme.ts";
import { type View, view } from "./view.ts";

const VIEWS: readonly { id: View; title: string }[] = [
  { id: "wizard", title: "Wizard" },
  { id: "playground", title: "Playground" },
];

export function App() {
  return (
    <>
      <header class="top">
        <h1>
          jwtgate <span>console</span>
        </h1>
        <Tabs />
        <div class="actions">
          <Share content={wholeState} />
          <button
            type="button"
            class="quiet"
            onClick={() => {
              theme.value = nextTheme();
            }}
          >
            Theme: {theme.value}
          </button>
        </div>
      </header>
      <Engine />
      <RefusedLink />
      <main>
        <Panel id="wizard">
          <Wizard />
        </Panel>
        <Panel id="playground">
          <Playground />
        </Panel>
      </main>
    </>
  );
}

/** The state for a link. */
function wholeState(): Content {
  return { ...currentContent(), wizard: form.value, view: view.value };
}

/** Arrow keys move from tab to tab, as in every tab list. */
function Tabs() {
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1 };
    const step = steps[event.key];
    if (step === undefined) return;
    const at = VIEWS.findIndex(({ id }) => id === view.value);
    const next = VIEWS[(at + step + VIEWS.length) % VIEWS.length];
    if (next === undefined) return;
    view.value = next.id;
    document.getElementById(`tab-${next.id}`)?.focus();
    event.preventDefault();
  };
  return (
    <div role="tablist" aria-label="Views" class="tabs" onKeyDown={onKeyDown}>
      {VIEWS.map(({ id, title }) => (
        <button
          key={id}
          type="button"
          role="tab"
          id={`tab-${id}`}
          aria-selected={view.value === id}
          aria-controls={`panel-${id}`}
          tabIndex={view.value === id ? 0 : -1}
          onClick={() => {
            view.value = id;
          }}
        >
          {title}
        </button>
      ))}
    </div>
  );
}

function Panel({ id, children }: { id: View; children: ComponentChildren }) {
  return (
    <div
      role="tabpanel"
      id={`panel-${id}`}
      class="panel"
      aria-labelledby={`tab-${id}`}
      hidden={view.value !== id}
    >
      {children}
    </div>
  );
}

/** Shows the worker's fault, if it has one. */
function Engine() {
  const { status, restarts } = engine;
  if (status.value === "failed") {
    return (
      <p class="banner bad" role="alert">
        The filter could not be loaded into this page. Open it from a web server, or as the one file that{" "}
        <code>jwtgate console --export</code> writes.
      </p>
    );
  }
  if (restarts.value === 0) return null;
  return (
    <p class="banner" role="status">
      A job took too long and was stopped. The engine was started again
      {restarts.value > 1 ? `, ${restarts.value} times so far` : ""}.
    </p>
  );
}
