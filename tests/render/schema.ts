/** Small schemas of Kubernetes resources: the fields that a resource may have. */
import { Ajv2020, type AnySchemaObject } from "ajv/dist/2020.js";
import { expect } from "vitest";

/** Any text but the empty one. */
export const text = { type: "string", minLength: 1 };

/** An object of these members alone: what an API does not know it refuses, or worse, leaves out. */
export const closed = (properties: Record<string, AnySchemaObject>, ...required: string[]) => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});

/** A reference to an object of the same namespace. */
export const reference = (...kinds: string[]) =>
  closed({ group: { type: "string" }, kind: { enum: kinds }, name: text }, "group", "kind", "name");

/** A label of DNS, which every name here is. */
const name = { type: "string", pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" };

/** A resource with a spec. */
export const resource = (apiVersion: string, kind: string, spec: AnySchemaObject) =>
  closed(
    {
      apiVersion: { const: apiVersion },
      kind: { const: kind },
      metadata: closed({ name, namespace: text }, "name", "namespace"),
      spec,
    },
    "apiVersion",
    "kind",
    "metadata",
    "spec",
  );

/** Expects a value to be as a schema says. */
export function expectValid(schema: AnySchemaObject, value: unknown): void {
  const validate = new Ajv2020({ strict: false }).compile(schema);
  validate(value);
  expect(validate.errors).toBeNull();
}
