/** The console: one page with the wizard and the playground. */
import { render } from "preact";
import { engine } from "./engine/client.ts";
import { startEvaluation } from "./playground/state.ts";
import { App } from "./shell/app.tsx";

const root = document.getElementById("app");
if (root !== null) render(<App />, root);
void engine.start();
startEvaluation();
