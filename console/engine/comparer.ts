/**
 * The script of the worker that compares versions of the policies. The page loads it with the first comparison.
 * Comparisons take longer than answers, which do not wait for them.
 */
import { compareVersions } from "./compare.ts";
import { serve } from "./serve.ts";

export const comparisons = { compare: compareVersions };

serve(comparisons);
