/** The content of the console: files and a request in the playground, and answers in the wizard. */
import type { TextFile } from "../engine/suite.ts";
import type { Questions } from "../engine/wizard.ts";
import type { View } from "../shell/view.ts";
import type { Draft } from "./draft.ts";

export interface Content {
  /** Policies, and a `*.test.yaml` with the saved requests. */
  files: readonly TextFile[];
  /** In links of older pages it has no setting. */
  draft?: Omit<Draft, "setting"> & Partial<Pick<Draft, "setting">>;
  /** Key sets that policies fetch, by the URI that they name. */
  documents?: Readonly<Record<string, string>>;
  /** The wizard's answers. */
  wizard?: Questions;
  /** The view. Absent: the playground. */
  view?: View;
}
