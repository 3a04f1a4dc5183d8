/** Annotations that istiod reads, or refuses, on a policy. */

/** Makes an AuthorizationPolicy a dry run: it is counted and logged, and changes no answer. */
export const DRY_RUN = "istio.io/dry-run";

/** Istio's own annotations; its validation refuses resources on which a user has set them. */
export const INTERNAL_ANNOTATIONS = [
  "internal.istio.io/webhook-always-reject",
  "internal.istio.io/parent-namespace",
  "internal.istio.io/parents",
];
