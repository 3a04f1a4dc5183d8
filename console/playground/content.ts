/** What the console is filled with: files and a request in the playground, and answers in the wizard. */
import type { TextFile } from "../engine/suite.ts";
import type { Questions } from "../engine/wizard.ts";
import type { View } from "../shell/view.ts";
import type { Draft } from "./draft.ts";

export interface Content {
  /** Policies, and a `*.test.yaml` with the saved requests. */
  files: readonly TextFile[];
  /** Links of older pages have no setting in it. */
  draft?: Omit<Draft, "setting"> & Partial<Pick<Draft, "setting">>;
  /** Key sets that policies fetch, by the URI that they name. */
  documents?: Readonly<Record<string, string>>;
  /** The wizard's answers. */
  wizard?: Questions;
  /** What is shown. Absent: the playground. */
  view?: View;
}
