import { fieldError, childPath, errorList, itemPath, type FieldError } from "./field-error.ts";
import { checkLabelValue, checkQualifiedName, validateLabels } from "./labels.ts";
import { badRequest } from "./status.ts";

/**
 * Label selectors: which objects are meant, by their labels.
 * Source: Kubernetes "Labels and Selectors"; apimachinery's `labels.Selector` and meta/v1 `LabelSelector`.
 */

export type LabelOperator = "=" | "==" | "!=" | "in" | "notin" | "exists" | "!" | ">" | "<";

/** One condition on one label. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Sorted and unique. One for comparisons, none for `exists` and `!`. */
  readonly values: readonly string[];
}

/** All of these must hold, so an empty list means every object. */
export type Selector = readonly LabelRequirement[];

/** A selector as objects hold it, meta/v1 `LabelSelector`. */
export interface LabelSelector {
  matchLabels?: Record<string, string>;
  /** Whatever a client left out is missing until it was validated. */
  matchExpressions?: { key?: string; operator?: string; values?: string[] }[];
}

type Labels = Readonly<Record<string, string>> | undefined;

/** Nothing but objects with these labels, or more. */
export const selectorOfLabels = (labels: Readonly<Record<string, string>>): Selector =>
  Object.keys(labels)
    .toSorted()
    .map((key) => ({ key, operator: "=", values: [labels[key] ?? ""] }));

/**
 * Compiles a `LabelSelector`. One without conditions selects every object; where a missing one means none at all, that
 * is for the caller to say. Throws a BadRequest when it is malformed.
 */
export function selectorOf(selector: LabelSelector): Selector {
  const requirements = [...selectorOfLabels(selector.matchLabels ?? {})];
  for (const { key = "", operator = "", values = [] } of selector.matchExpressions ?? []) {
    const op = EXPRESSION_OPERATORS.get(operator);
    if (op === undefined) throw badRequest(`"${operator}" is not a valid label selector operator`);
    requirements.push({ key, operator: op, values: [...new Set(values)].toSorted() });
  }
  for (const requirement of requirements) refuse(validateRequirement(requirement));
  return sortByKey(requirements);
}

const EXPRESSION_OPERATORS: ReadonlyMap<string, LabelOperator> = new Map([
  ["In", "in"],
  ["NotIn", "notin"],
  ["Exists", "exists"],
  ["DoesNotExist", "!"],
]);

/** Checks a `LabelSelector` in an object; `path` is where it stands: `spec.selector`. */
export function validateLabelSelector(selector: LabelSelector, path: string): FieldError[] {
  const errors = validateLabels(selector.matchLabels, childPath(path, "matchLabels"));
  for (const [i, { key = "", operator = "", values = [] }] of (selector.matchExpressions ?? []).entries()) {
    const at = itemPath(childPath(path, "matchExpressions"), i);
    const valuesAt = childPath(at, "values");
    if (operator === "In" || operator === "NotIn") {
      if (values.length === 0) {
        errors.push(fieldError.required(valuesAt, "must be specified when `operator` is 'In' or 'NotIn'"));
      }
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (values.length > 0) {
        errors.push(
          fieldError.forbidden(valuesAt, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        );
      }
    } else errors.push(fieldError.invalid(childPath(at, "operator"), operator, "not a valid selector operator"));
    for (const problem of checkQualifiedName(key)) errors.push(fieldError.invalid(childPath(at, "key"), key, problem));
    for (const [j, value] of values.entries()) {
      for (const problem of checkLabelValue(value)) {
        errors.push(fieldError.invalid(itemPath(valuesAt, j), value, problem));
      }
    }
  }
  return errors;
}

export function matchesSelector(selector: Selector, labels: Labels): boolean {
  for (const requirement of selector) if (!matchesRequirement(requirement, labels)) return false;
  return true;
}

function matchesRequirement({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "=":
    case "==":
    case "in":
      return value !== undefined && values.includes(value);
    case "!=":
    case "notin":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case ">":
    case "<": {
      const [actual, limit] = [integer(value), integer(values[0])];
      if (actual === undefined || limit === undefined) return false;
      return operator === ">" ? actual > limit : actual < limit;
    }
  }
}

/** An int64, or undefined. */
function integer(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^[+-]?\d{1,20}$/.test(text)) return undefined;
  const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

/** The string form: `app=web,tier in (a,b),!canary`. Parsed again it gives the same selector. */
export const formatSelector = (selector: Selector): string => selector.map(formatRequirement).join(",");

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case "exists":
      return key;
    case "!":
      return `!${key}`;
    case "in":
    case "notin":
      return `${key} ${operator} (${values.join(",")})`;
    case "=":
    case "==":
    case "!=":
    case ">":
    case "<":
      return `${key}${operator}${values[0] ?? ""}`;
  }
}

/** The value a label must have, if the selector names exactly one: what an index can be asked for. */
export function exactLabelValue(selector: Selector, key: string): string | undefined {
  const found = selector.find((requirement) => requirement.key === key);
  if (found === undefined || found.values.length !== 1) return undefined;
  return found.operator === "=" || found.operator === "==" || found.operator === "in" ? found.values[0] : undefined;
}

/** Reads the string form (`?labelSelector=`, `-l`). Throws a BadRequest in upstream's words. */
export function parseLabelSelector(text: string): Selector {
  const tokens = scan(text);
  const requirements: LabelRequirement[] = [];
  let at = 0;
  const peek = (): Token => tokens[at] ?? END;
  const next = (): Token => tokens[at++] ?? END;

  while (peek() !== END) {
    if (!isWord(peek()) && peek().text !== "!") {
      throw badRequest(`found '${peek().text}', expected: !, identifier, or 'end of string'`);
    }
    requirements.push(parseRequirement(peek, next));
    const separator = next();
    if (separator === END) break;
    if (separator.text !== ",") throw badRequest(`found '${separator.text}', expected: ',' or 'end of string'`);
    if (!isWord(peek()) && peek().text !== "!") {
      throw badRequest(`found '${peek().text}', expected: identifier after ','`);
    }
  }
  return sortByKey(requirements);
}

/** A word, or one of the symbols. */
interface Token {
  readonly text: string;
  readonly symbol: boolean;
}

const END: Token = { text: "", symbol: true };
const isWord = (token: Token): boolean => !token.symbol;

/** Cuts a selector into symbols and words. Symbols that belong together stay so: `==`, `!=`. */
const scan = (text: string): Token[] =>
  [...text.matchAll(/[!=]=|[=!(),<>]|[^\s=!(),<>]+/g)].map(([token]) => ({
    text: token,
    symbol: /^[=!(),<>]/.test(token),
  }));

const OPERATORS: ReadonlyMap<string, LabelOperator> = new Map(
  (["=", "==", "!=", "in", "notin", ">", "<"] as const).map((operator) => [operator, operator]),
);

function parseRequirement(peek: () => Token, next: () => Token): LabelRequirement {
  const negated = peek().text === "!" && peek().symbol;
  if (negated) next();
  const name = next();
  const fail = (message: string) => badRequest(`unable to parse requirement: ${message}`);
  if (!isWord(name)) throw fail(`found '${name.text}', expected: identifier`);
  const key = name.text;
  refuse(validateKey(key), "unable to parse requirement: ");

  if (negated || peek() === END || peek().text === ",") {
    return { key, operator: negated ? "!" : "exists", values: [] };
  }
  const symbol = next();
  const operator = OPERATORS.get(symbol.text);
  if (operator === undefined) {
    throw fail(`found '${symbol.text}', expected: in, notin, =, ==, !=, gt, lt`);
  }
  const values: string[] = [];
  if (operator === "in" || operator === "notin") {
    const open = next();
    if (open.text !== "(") throw fail(`found '${open.text}' expected: '('`);
    // Words between commas; nothing before, after or between commas is the empty value.
    let expectsValue = true;
    for (;;) {
      const token = next();
      if (isWord(token) && expectsValue) {
        values.push(token.text);
        expectsValue = false;
      } else if (token.text === "," || token.text === ")") {
        if (expectsValue) values.push("");
        expectsValue = true;
        if (token.text === ")") break;
      } else if (expectsValue) throw fail(`found '${token.text}', expected: ',', ')' or identifier`);
      else throw fail(`found '${token.text}', expected: ',' or ')'`);
    }
  } else if (peek() === END || peek().text === ",") values.push("");
  else {
    const value = next();
    if (!isWord(value)) throw fail(`found '${value.text}', expected: identifier`);
    values.push(value.text);
  }
  const requirement: LabelRequirement = { key, operator, values: [...new Set(values)].toSorted() };
  refuse(validateRequirement(requirement), "unable to parse requirement: ");
  return requirement;
}

const validateKey = (key: string): FieldError[] =>
  checkQualifiedName(key).map((problem) => fieldError.invalid("key", key, problem));

function validateRequirement({ key, operator, values }: LabelRequirement): FieldError[] {
  const errors = validateKey(key);
  if ((operator === "in" || operator === "notin") && values.length === 0) {
    errors.push(fieldError.invalid("values", values, "for 'in', 'notin' operators, values set can't be empty"));
  }
  if ((operator === "exists" || operator === "!") && values.length > 0) {
    errors.push(fieldError.invalid("values", values, "values set must be empty for exists and does not exist"));
  }
  for (const [i, value] of values.entries()) {
    const at = itemPath("values", i);
    if ((operator === ">" || operator === "<") && integer(value) === undefined) {
      errors.push(fieldError.invalid(at, value, "for 'Gt', 'Lt' operators, the value must be an integer"));
    }
    for (const problem of checkLabelValue(value)) errors.push(fieldError.invalid(itemPath(at, key), value, problem));
  }
  return errors;
}

function refuse(errors: readonly FieldError[], prefix = ""): void {
  if (errors.length > 0) throw badRequest(prefix + errorList(errors));
}

const sortByKey = (requirements: LabelRequirement[]): Selector =>
  requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
