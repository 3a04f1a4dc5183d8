/** Which of the console's two views is shown. */
import { signal } from "@preact/signals";

export type View = "wizard" | "playground";

export const view = signal<View>("wizard");
