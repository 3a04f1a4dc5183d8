/** The console: one page with the wizard and the playground. */
import { render } from "preact";
import { engine } from "./engine/client.ts";
import { followLinks } from "./links/share.tsx";
import { openInPlayground, startEvaluation } from "./playground/state.ts";
import { App } from "./shell/app.tsx";
import { view } from "./shell/view.ts";
import { form, startWizard } from "./wizard/state.ts";

const root = document.getElementById("app");
if (root !== null) render(<App />, root);
void engine.start();
startEvaluation();
startWizard();
followLinks((content) => {
  openInPlayground(content);
  if (content.wizard) form.value = content.wizard;
  view.value = content.view ?? "playground";
});
