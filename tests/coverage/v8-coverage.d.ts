/** The part of the package that is used; it has no types of its own that TypeScript finds. */
declare module "@bcoe/v8-coverage" {
  /** V8's coverage of one script (Profiler.ScriptCoverage of its inspector's protocol). */
  export interface ScriptCov {
    scriptId: string;
    url: string;
    functions: {
      functionName: string;
      isBlockCoverage: boolean;
      ranges: { startOffset: number; endOffset: number; count: number }[];
    }[];
  }

  /** Adds up the counts of several runs of one script; undefined for none. */
  export function mergeScriptCovs(runs: readonly ScriptCov[]): ScriptCov | undefined;
}
