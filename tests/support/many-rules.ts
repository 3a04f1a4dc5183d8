/** Policies with as many rules as an editor may get, each about its own path. */

/** 20 policies of 500 rules. The last rule is about `/19/499`. */
export function tenThousandRules(): string {
  const policies = Array.from({ length: 20 }, (_, policy) => {
    const rules = Array.from(
      { length: 500 },
      (_, rule) => `  - to: [{operation: {paths: [/${policy}/${rule}]}}]`,
    );
    const head = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy";
    return `${head}\nmetadata: {name: many-${policy}}\nspec:\n  rules:\n${rules.join("\n")}\n`;
  });
  return policies.join("---\n");
}
