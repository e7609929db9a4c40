import { badRequest } from "./status.ts";

/**
 * Field selectors: which objects are meant, by the values of a few fields that their kind offers for it.
 * Source: Kubernetes "Field Selectors"; apimachinery's `fields.Selector`.
 */

/** One condition on one field. A field that is missing has the value "". */
export interface FieldRequirement {
  /** `metadata.name`, `spec.nodeName`, … */
  readonly field: string;
  readonly operator: "=" | "!=";
  readonly value: string;
}

/** All of these must hold, so an empty list means every object. */
export type FieldSelector = readonly FieldRequirement[];

/**
 * Reads the string form (`?fieldSelector=`). In values `\\`, `\,` and `\=` stand for the second character.
 * Throws a BadRequest when it is malformed, or names a field that `isSupported` denies.
 */
export function parseFieldSelector(text: string, isSupported: (field: string) => boolean = () => true): FieldSelector {
  const requirements: FieldRequirement[] = [];
  for (const [term] of text.matchAll(/(?:\\[^]|[^\\,]|\\$)+/g)) {
    const match = /^([^]*?)(!=|==|=)([^]*)$/.exec(term);
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field = "", operator, value = ""] = match;
    if (!isSupported(field)) throw badRequest(`field label not supported: ${field}`);
    requirements.push({ field, operator: operator === "!=" ? "!=" : "=", value: unescapeValue(value) });
  }
  return requirements;
}

function unescapeValue(value: string): string {
  return value.replace(/\\([^]?)|[,=]/g, (sequence, escaped: string | undefined) => {
    if (escaped === undefined) throw badRequest(`invalid field selector: unescaped character in value: '${sequence}'`);
    if (!["\\", ",", "="].includes(escaped)) {
      throw badRequest(`invalid field selector: invalid escape sequence: '${sequence}'`);
    }
    return escaped;
  });
}

/** `get` gives the value of a field of the object in question, "" for one that it doesn't have. */
export function matchesFields(selector: FieldSelector, get: (field: string) => string): boolean {
  for (const { field, operator, value } of selector) {
    if ((get(field) === value) !== (operator === "=")) return false;
  }
  return true;
}

/** The string form. Parsed again it gives the same selector. */
export const formatFieldSelector = (selector: FieldSelector): string =>
  selector.map(({ field, operator, value }) => field + operator + value.replace(/[\\,=]/g, "\\$&")).join(",");

/** The value a field must have, if the selector says so: what an index, or RBAC, can be asked about. */
export const exactFieldValue = (selector: FieldSelector, field: string): string | undefined =>
  selector.find((requirement) => requirement.field === field && requirement.operator === "=")?.value;
