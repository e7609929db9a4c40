import { isJsonObject } from "../json.ts";
import type { Json } from "../object.ts";
import type { FieldType } from "../schema.ts";
import { formatElement } from "./field-set.ts";
import { itemElement, ShapeError, type Place, type Shapes } from "./shape.ts";

/**
 * What is wrong with an applied configuration: fields that the schema doesn't know, values of a wrong type, items that
 * stand twice in a list whose items have keys. In upstream's words, with paths: `.spec.foo: field not declared in schema`.
 */
export function validateConfig(shapes: Shapes, place: Place, config: Json): string[] {
  const problems: string[] = [];
  validate(shapes, place, config, "", problems);
  return problems;
}

function validate(shapes: Shapes, { type }: Place, value: Json, path: string, problems: string[]): void {
  if (value === null) return;
  const report = (problem: string): void => void problems.push(path === "" ? problem : `${path}: ${problem}`);
  const wrong = scalarProblem(type, value);
  if (wrong !== undefined) return report(wrong);
  switch (type.type) {
    case "object": {
      const definition = shapes.definition(type.ref);
      if (definition === undefined) return;
      if (!isJsonObject(value)) return report(`expected map, got ${JSON.stringify(value)}`);
      for (const name in value) {
        const field = definition.fields.get(name);
        if (field !== undefined) validate(shapes, field, value[name] ?? null, `${path}.${name}`, problems);
        else problems.push(`${path}.${name}: field not declared in schema`);
      }
      return;
    }
    case "map":
      if (!isJsonObject(value)) return report(`expected map, got ${JSON.stringify(value)}`);
      for (const key in value) validate(shapes, { type: type.values }, value[key] ?? null, `${path}.${key}`, problems);
      return;
    case "list":
      if (!Array.isArray(value)) return report(`expected list, got ${JSON.stringify(value)}`);
      return validateItems(shapes, type, value, path, problems);
    case "string":
    case "integer":
    case "number":
    case "boolean":
    case "quantity":
    case "int-or-string":
    case "any":
      return;
  }
}

function validateItems(
  shapes: Shapes,
  type: FieldType & { type: "list" },
  items: readonly Json[],
  path: string,
  problems: string[],
): void {
  const place: Place = { type: type.items };
  const shape = shapes.of({ type }, [...items]);
  const seen = new Set<string>();
  for (const [i, item] of items.entries()) {
    let at = `${path}[${i}]`;
    if (shape.kind === "list") {
      try {
        const element = itemElement(shape, item);
        at = path + formatElement(element);
        if (seen.has(element)) problems.push(`${path}: duplicate entries for key ${formatElement(element)}`);
        seen.add(element);
      } catch (error) {
        if (!(error instanceof ShapeError)) throw error;
        problems.push(`${path}: element ${i}: ${error.message}`);
        continue;
      }
    }
    validate(shapes, place, item, at, problems);
  }
}

/** What is wrong with a scalar; undefined for others. */
function scalarProblem(type: FieldType, value: Json): string | undefined {
  switch (type.type) {
    case "string":
      return typeof value === "string" ? undefined : `expected string, got ${JSON.stringify(value)}`;
    case "integer":
    case "number":
      return typeof value === "number" ? undefined : `expected numeric (int or float), got ${typeof value}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : `expected boolean, got ${JSON.stringify(value)}`;
    case "quantity":
    case "int-or-string":
      return typeof value === "object" ? `expected any scalar, got ${JSON.stringify(value)}` : undefined;
    case "any":
    case "object":
    case "map":
    case "list":
      return undefined;
  }
}
