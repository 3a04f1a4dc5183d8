/** A failing test need not search for the smallest input, because only the failure matters. */
import fc from "fast-check";

fc.configureGlobal({ endOnFailure: true });
