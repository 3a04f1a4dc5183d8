/** A test that fails need not look for the smallest input: what is asked is whether it fails. */
import fc from "fast-check";

fc.configureGlobal({ endOnFailure: true });
