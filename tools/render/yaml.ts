/** Objects → YAML for people: comments that give the reasons, and JSON texts in blocks that can be read. */
import { Document, isPair, isScalar, Scalar, visit } from "yaml";

/** From a member's name to the reason for its value. */
export type Reasons = Readonly<Record<string, string>>;

/**
 * @param documents one YAML document each
 * @param heading comment before the first
 * @param reasons comments, each before the first member of that name in a document
 */
export function toYaml(documents: readonly object[], heading: string, reasons: Reasons = {}): string {
  const texts = documents.map((content) => {
    // Kubernetes and Envoy read unquoted `no`, `on`, `010` as YAML 1.1 does, so what it would misread must be quoted.
    const document = new Document(content, { schema: "yaml-1.1", aliasDuplicateObjects: false });
    const said = new Set<string>();
    visit(document, {
      Pair(_key, pair) {
        if (!isPair(pair) || !isScalar(pair.key)) return;
        const name = String(pair.key.value);
        if (Object.hasOwn(reasons, name) && !said.has(name)) {
          said.add(name);
          pair.key.commentBefore = comment(reasons[name] ?? "");
        }
        if (isScalar(pair.value) && typeof pair.value.value === "string" && pair.value.value.includes("\n")) {
          pair.value.type = Scalar.BLOCK_LITERAL;
        }
      },
    });
    return document.toString({ lineWidth: 0 });
  });
  return `${comment(heading).replace(/^/gm, "#")}\n${texts.join("---\n")}`;
}

/** As the yaml library wants it: each line with a space before. */
function comment(text: string): string {
  return text.replace(/^(?=.)/gm, " ");
}
