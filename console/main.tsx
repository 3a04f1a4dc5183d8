/** The console: one page with the wizard and the playground. */
import { render } from "preact";
import { engine } from "./engine/client.ts";
import { App } from "./shell/app.tsx";

const root = document.getElementById("app");
if (root !== null) render(<App />, root);
void engine.start();
