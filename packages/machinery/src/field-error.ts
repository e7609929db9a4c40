import { quote } from "./quote.ts";

/** What can be wrong with the value of a field. Source: apimachinery's `field.ErrorType`, which are Status causes. */
const LABEL = {
  FieldValueNotFound: "Not found",
  FieldValueRequired: "Required value",
  FieldValueDuplicate: "Duplicate value",
  FieldValueInvalid: "Invalid value",
  FieldValueNotSupported: "Unsupported value",
  FieldValueForbidden: "Forbidden",
  FieldValueTooLong: "Too long",
  FieldValueTooMany: "Too many",
  FieldValueTypeInvalid: "Invalid value",
  InternalError: "Internal error",
} as const;

export type FieldErrorType = keyof typeof LABEL;

/** Why a field of an object is refused. Build one with `fieldError`. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** The path of the field: `spec.containers[0].name`. */
  readonly field: string;
  /** All but the path: `Invalid value: "x": must be …`. */
  readonly message: string;
}

const build = (type: FieldErrorType, field: string, detail: string, value?: string): FieldError => ({
  type,
  field,
  message: LABEL[type] + (value === undefined ? "" : `: ${value}`) + (detail === "" ? "" : `: ${detail}`),
});

/** A value as these messages show it. */
function show(value: unknown): string {
  if (typeof value === "string") return quote(value);
  const text = JSON.stringify(value) ?? "null";
  // Go's encoder keeps these out of HTML.
  return text.replaceAll("&", "\\u0026").replaceAll("<", "\\u003c").replaceAll(">", "\\u003e");
}

/** Builders of `FieldError`s, with the words that clients of Kubernetes know. */
export const fieldError = {
  /** The value is missing, or empty where it must not be. */
  required: (field: string, detail = ""): FieldError => build("FieldValueRequired", field, detail),
  /** The value is malformed or out of bounds. */
  invalid: (field: string, value: unknown, detail = ""): FieldError =>
    build("FieldValueInvalid", field, detail, show(value)),
  /** The value has the wrong JSON type. */
  typeInvalid: (field: string, value: unknown, detail = ""): FieldError =>
    build("FieldValueTypeInvalid", field, detail, show(value)),
  /** The value is none of those that the field knows. */
  notSupported: (field: string, value: unknown, supported: readonly string[]): FieldError =>
    build(
      "FieldValueNotSupported",
      field,
      supported.length === 0 ? "" : `supported values: ${supported.map(quote).join(", ")}`,
      show(value),
    ),
  /** The value stands twice where it must be unique. */
  duplicate: (field: string, value: unknown): FieldError => build("FieldValueDuplicate", field, "", show(value)),
  /** The value could be right, but not here and now. */
  forbidden: (field: string, detail: string): FieldError => build("FieldValueForbidden", field, detail),
  /** The value refers to something that isn't there. */
  notFound: (field: string, value: unknown): FieldError => build("FieldValueNotFound", field, "", show(value)),
  /** A string of more than `maxBytes`. The value is not shown. */
  tooLong: (field: string, maxBytes: number): FieldError =>
    build("FieldValueTooLong", field, `may not be more than ${maxBytes} ${maxBytes === 1 ? "byte" : "bytes"}`),
  /** A list with more than `max` items. */
  tooMany: (field: string, actual: number, max: number): FieldError =>
    build("FieldValueTooMany", field, `must have at most ${max} ${max === 1 ? "item" : "items"}`, String(actual)),
  /** The value could not be checked. */
  internal: (field: string, detail: string): FieldError => build("InternalError", field, detail),
};

/** Errors as one text: `spec.x: Required value`, or `[a: …, b: …]`, each said once. */
export function errorList(errors: readonly FieldError[]): string {
  const texts = [...new Set(errors.map(({ field, message }) => `${field}: ${message}`))];
  return texts.length === 1 ? texts.join("") : `[${texts.join(", ")}]`;
}

/** `spec` and `replicas` give `spec.replicas`; an empty path is the object itself. */
export const childPath = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

/** The path of an item of a list, or of an entry of a map: `spec.containers[0]`, `metadata.labels[app]`. */
export const itemPath = (path: string, indexOrKey: number | string): string => `${path}[${indexOrKey}]`;
