/** What the playground is filled with. */
import type { TextFile } from "../engine/suite.ts";
import type { Draft } from "./draft.ts";

export interface Content {
  /** Policies, and a `*.test.yaml` with the saved requests. */
  files: readonly TextFile[];
  draft?: Draft;
  /** Key sets that policies fetch, by the URI that they name. */
  documents?: Readonly<Record<string, string>>;
}
