import kinds from "./gen/kinds.json" with { type: "json" };

/**
 * The table of built-in kinds, `gen/kinds.json`, and its form.
 *
 * Definitions go by short names, `core.v1.Pod`. A definition is its fields, separated by spaces, each `number:name:type`.
 *
 * The number is protobuf's, 0 when the field does not travel there. A `!` after the name says that the API requires it, so
 * that JSON has it even when it is zero; `-` after it says that JSON has not, and `+` that JSON has what is not required.
 *
 * A type is a scalar or the name of a definition, `[of]` a list or `{to}` a map; before it `*` stands for a pointer of Go's
 * (absent differs from zero) and `^` for a definition whose fields are the outer one's in JSON. After it may stand, in this
 * order: `=key,key` for a list whose items are told apart by keys, or `=` for a set; `~` and the strategic merge strategies;
 * `@` and the merge key; `%` for a map or object that is owned as a whole; `?` and the default.
 */
interface Table {
  atomic: readonly string[];
  definitions: Readonly<Record<string, string>>;
}

export type Scalar =
  | "any"
  | "bool"
  | "bytes"
  | "double"
  | "int32"
  | "int64"
  | "intstr"
  | "microtime"
  | "quantity"
  | "string"
  | "strings"
  | "time";

export interface TableField {
  readonly number: number;
  readonly name: string;
  readonly required: boolean;
  /** JSON has it even when it is zero. */
  readonly keepsZero: boolean;
  readonly pointer: boolean;
  readonly inline: boolean;
  readonly shape: "one" | "list" | "map";
  /** A `Scalar` or the short name of a definition. */
  readonly base: string;
  /** Of a list that is no atomic one: its keys, none for a set. */
  readonly keys: readonly string[] | undefined;
  readonly strategy: string;
  readonly mergeKey: string;
  readonly atomic: boolean;
  readonly default: string | undefined;
}

const FIELD =
  /^(\d+):([^:!+-]+)(!?)([+-]?):(\*?)(\^?)([[{]?)([\w.]+)[\]}]?(?:=([\w,]*))?(?:~([\w,]+))?(?:@(\w+))?(%?)(?:\?(\w+))?$/;

function parseField(text: string): TableField {
  const match = FIELD.exec(text);
  if (match === null) throw new Error(`Cannot read the table of kinds: malformed field ${JSON.stringify(text)}`);
  const [, number, name = "", required, zero, pointer, inline, bracket, base = "", keys, strategy = "", mergeKey = ""] =
    match;
  return {
    number: Number(number),
    name,
    required: required !== "",
    keepsZero: zero === "" ? required !== "" : zero === "+",
    pointer: pointer !== "",
    inline: inline !== "",
    shape: bracket === "[" ? "list" : bracket === "{" ? "map" : "one",
    base,
    keys: keys === undefined ? undefined : keys === "" ? [] : keys.split(","),
    strategy,
    mergeKey,
    atomic: match[12] !== "",
    default: match[13],
  };
}

/** Calls `make` the first time and answers the same ever after. Only for what never changes. */
export function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

const table: Table = kinds;

export const definitionNames = (): string[] => Object.keys(table.definitions);

export const isAtomic = (name: string): boolean => table.atomic.includes(name);

/** The fields of a definition as the table has them: those of inlined ones not yet among them. */
export function tableFields(name: string): TableField[] | undefined {
  const { definitions } = table;
  if (!Object.hasOwn(definitions, name)) return undefined;
  return (definitions[name] ?? "").split(" ").filter(Boolean).map(parseField);
}

/** `io.k8s.api.core.v1.Pod` → `core.v1.Pod`; undefined for a name that no built-in definition can have. */
export function shortNameOf(ref: string): string | undefined {
  const match = /^io\.k8s\.(?:api|apimachinery\.pkg\.apis)\.(\w+\.v\d\w*\.\w+)$/.exec(ref);
  return match?.[1];
}

/** `core.v1.Pod` → `io.k8s.api.core.v1.Pod`. */
export const refOf = (shortName: string): string =>
  shortName.startsWith("meta.") ? `io.k8s.apimachinery.pkg.apis.${shortName}` : `io.k8s.api.${shortName}`;
