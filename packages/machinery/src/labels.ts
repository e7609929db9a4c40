import { fieldError, type FieldError } from "./field-error.ts";
import { byteLength, checkDns1123Subdomain, maxLengthMessage, patternMessage } from "./names.ts";

/**
 * Labels and annotations: which keys and values are allowed. Checks return what is wrong in upstream's words, or an
 * empty list. Source: Kubernetes "Labels and Selectors", "Annotations"; apimachinery's `api/validate/content`.
 */

const NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const NAME_RULE =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const NAME_MAX = 63;
const namePattern = new RegExp(`^${NAME}$`);

const VALUE = `(${NAME})?`;
const VALUE_MAX = 63;
const valuePattern = new RegExp(`^${VALUE}$`);

/** All keys and values of an object's annotations together, in bytes. */
const ANNOTATIONS_MAX_BYTES = 256 * 1024;

/** A qualified name, as in the keys of labels, annotations and taints, and in finalizers: `[prefix/]name`. */
export function checkQualifiedName(value: string): string[] {
  const slash = value.indexOf("/");
  const name = slash < 0 ? value : value.slice(slash + 1);
  const nameExplained = (): string => patternMessage(NAME_RULE, NAME, "MyName", "my.name", "123-abc");
  if (name.includes("/")) {
    return [
      `a valid label key ${nameExplained()} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }

  const problems: string[] = [];
  if (slash === 0) problems.push("prefix part must be non-empty");
  if (slash > 0) problems.push(...checkDns1123Subdomain(value.slice(0, slash)).map((text) => `prefix part ${text}`));
  const wellFormed = namePattern.test(name);
  if (wellFormed && name.length <= NAME_MAX) return problems;
  if (name === "") problems.push("name part must be non-empty");
  else if (byteLength(name) > NAME_MAX) problems.push(`name part ${maxLengthMessage(NAME_MAX, "bytes")}`);
  if (!wellFormed) problems.push(`name part ${nameExplained()}`);
  return problems;
}

export function checkLabelValue(value: string): string[] {
  const wellFormed = valuePattern.test(value);
  if (wellFormed && value.length <= VALUE_MAX) return [];
  const problems: string[] = [];
  if (byteLength(value) > VALUE_MAX) problems.push(maxLengthMessage(VALUE_MAX, "bytes"));
  if (!wellFormed) {
    const rule =
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', " +
      "and must start and end with an alphanumeric character";
    problems.push(patternMessage(rule, VALUE, "MyValue", "my_value", "12345"));
  }
  return problems;
}

/** Checks all labels of an object; `path` is `metadata.labels`. */
export function validateLabels(labels: Readonly<Record<string, string>> | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (labels === undefined) return errors;
  for (const key of Object.keys(labels)) {
    for (const problem of checkQualifiedName(key)) errors.push(fieldError.invalid(path, key, problem));
    const value = labels[key] ?? "";
    for (const problem of checkLabelValue(value)) errors.push(fieldError.invalid(path, value, problem));
  }
  return errors;
}

/** Checks all annotations of an object; `path` is `metadata.annotations`. Case does not matter in their keys. */
export function validateAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (annotations === undefined) return errors;
  let units = 0;
  for (const key of Object.keys(annotations)) {
    for (const problem of checkQualifiedName(key.toLowerCase())) errors.push(fieldError.invalid(path, key, problem));
    units += key.length + (annotations[key] ?? "").length;
  }
  // A UTF-16 unit is at most three bytes: small annotations need no counting.
  if (units * 3 <= ANNOTATIONS_MAX_BYTES) return errors;
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) bytes += byteLength(key) + byteLength(value);
  if (bytes > ANNOTATIONS_MAX_BYTES) errors.push(fieldError.tooLong(path, ANNOTATIONS_MAX_BYTES));
  return errors;
}
