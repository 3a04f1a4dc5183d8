/** What the playground is filled with. */
import type { TextFile } from "../engine/suite.ts";
import type { Draft } from "./draft.ts";

export interface Content {
  /** Policies, and a `*.test.yaml` with the saved requests. */
  files: readonly TextFile[];
  /** Links of older pages have no setting in it. */
  draft?: Omit<Draft, "setting"> & Partial<Pick<Draft, "setting">>;
  /** Key sets that policies fetch, by the URI that they name. */
  documents?: Readonly<Record<string, string>>;
}
