/** A resource's name, namespace and annotations. */
import { INTERNAL_ANNOTATIONS } from "./annotations.ts";
import type { Fields } from "./fields.ts";
import { quote, type Report } from "./report.ts";
import type { Located } from "./yaml.ts";

export interface Metadata {
  name: string;
  namespace: string;
  annotations: Map<string, Located<string>>;
  /** Milliseconds since 1970; 0 if the resource does not have it, as in a file that was never applied. */
  created: number;
}

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS_LABEL = new RegExp(`^${LABEL}$`);
const DNS_SUBDOMAIN = new RegExp(`^${LABEL}(\\.${LABEL})*$`);

/**
 * @param resource the whole resource
 * @param defaultNamespace of a resource that names none
 * @returns undefined, with an error, if there is no name
 */
export function readMetadata(
  resource: Fields,
  defaultNamespace: string,
  report: Report,
): Metadata | undefined {
  const fields = resource.object("metadata");
  if (fields === undefined) {
    if (!resource.has("metadata")) resource.miss("metadata is missing: write a name");
    return undefined;
  }
  // What the API server writes; `kubectl get -o yaml` prints it.
  fields.ignore(
    "uid",
    "resourceVersion",
    "generation",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "selfLink",
  );
  fields.ignore("deletionTimestamp", "deletionGracePeriodSeconds", "generateName");
  fields.stringMap("labels");
  const annotations = fields.stringMap("annotations");
  for (const name of INTERNAL_ANNOTATIONS) {
    const annotation = annotations.get(name);
    if (annotation) report.error(annotation.at, `the annotation ${name} is Istio's own: remove it`);
  }
  const name = fields.string("name");
  const namespace = fields.string("namespace");
  const created = readCreationTime(fields, report);
  if (!fields.has("name")) fields.miss("metadata.name is missing: rules are named after it");
  fields.finish();
  if (name && (name.value.length > 253 || !DNS_SUBDOMAIN.test(name.value))) {
    const allowed = "lower-case letters, digits, - and ., at most 253 characters";
    report.error(name.at, `metadata.name ${quote(name.value)} is not a name in Kubernetes: use ${allowed}`);
  }
  if (namespace && (namespace.value.length > 63 || !DNS_LABEL.test(namespace.value))) {
    const allowed = "lower-case letters, digits and -, at most 63 characters";
    report.error(
      namespace.at,
      `metadata.namespace ${quote(namespace.value)} is not a namespace: use ${allowed}`,
    );
  }
  if (name === undefined) return undefined;
  return { name: name.value, namespace: namespace?.value ?? defaultNamespace, annotations, created };
}

function readCreationTime(fields: Fields, report: Report): number {
  const text = fields.string("creationTimestamp");
  if (text === undefined) return 0;
  const time = Date.parse(text.value);
  if (!Number.isNaN(time)) return time;
  report.error(text.at, `metadata.creationTimestamp ${quote(text.value)} is not a time: leave it out`);
  return 0;
}
