import type { FieldsV1 } from "../object.ts";
import { quote } from "../quote.ts";

/**
 * Sets of fields of an object, as managedFields hold them (KEP-555, FieldsV1): a tree whose keys are path elements —
 * `f:<name>` a field, `k:{"<key>":<value>}` an item of a list by its keys, `v:<value>` an item of a set. A node without
 * children is a member; one with children is a member if it has the key `.`.
 *
 * Sets are values: no function changes one, and results share what they have in common with their arguments.
 * The set without members is undefined, never `{}`, which as a node would be a member.
 */
export type FieldSet = FieldsV1 | undefined;

/** A member without children. */
export const LEAF: FieldsV1 = Object.freeze({});
const SELF = ".";

/** Whether a node of a set is a member itself, besides what it holds. */
export function isMember(node: FieldsV1): boolean {
  if (SELF in node) return true;
  for (const _ in node) return false;
  return true;
}

export const hasChildren = (node: FieldsV1): boolean => {
  for (const element in node) if (element !== SELF) return true;
  return false;
};

/** A node of these children, undefined when that would mean nothing. */
export function nodeOf(member: boolean, children: FieldsV1 | undefined): FieldSet {
  if (children === undefined) return member ? LEAF : undefined;
  return member ? { [SELF]: LEAF, ...children } : children;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === undefined || a === b) return b;
  if (b === undefined) return a;
  return unionChildren(a, b);
}

function unionChildren(a: FieldsV1, b: FieldsV1): FieldsV1 {
  const out: FieldsV1 = { ...a };
  for (const element in b) {
    const theirs = b[element];
    const ours = a[element];
    if (theirs === undefined) continue;
    out[element] = ours === undefined || ours === theirs ? theirs : unionNodes(ours, theirs);
  }
  return out;
}

function unionNodes(a: FieldsV1, b: FieldsV1): FieldsV1 {
  if (!hasChildren(a)) return isMember(b) ? b : { [SELF]: LEAF, ...b };
  if (!hasChildren(b)) return isMember(a) ? a : { [SELF]: LEAF, ...a };
  return unionChildren(a, b);
}

/** What is in both. */
export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  if (a === undefined || b === undefined) return undefined;
  if (a === b) return a;
  let out: FieldsV1 | undefined;
  for (const element in a) {
    const [ours, theirs] = [a[element], b[element]];
    if (element === SELF || ours === undefined || theirs === undefined) continue;
    const node = nodeOf(isMember(ours) && isMember(theirs), intersection(ours, theirs));
    if (node !== undefined) (out ??= {})[element] = node;
  }
  return out;
}

/** What is in `a` and not in `b`; a member goes only if `b` has that very member. */
export const difference = (a: FieldSet, b: FieldSet): FieldSet => subtract(a, b, false);

/** As `difference`, but a member of `b` takes all that is below it along. */
export const recursiveDifference = (a: FieldSet, b: FieldSet): FieldSet => subtract(a, b, true);

function subtract(a: FieldSet, b: FieldSet, recursive: boolean): FieldSet {
  if (a === undefined || b === undefined) return a;
  let out: FieldsV1 | undefined;
  let changed = false;
  for (const element in a) {
    const [ours, theirs] = [a[element], b[element]];
    if (element === SELF || ours === undefined) continue;
    const rest = theirs === undefined ? ours : subtractNode(ours, theirs, recursive);
    if (rest !== ours) changed = true;
    if (rest !== undefined) (out ??= {})[element] = rest;
  }
  // The mark of the node itself belongs to the caller.
  return changed || SELF in a ? out : a;
}

function subtractNode(ours: FieldsV1, theirs: FieldsV1, recursive: boolean): FieldSet {
  const gone = isMember(theirs);
  if (gone && recursive) return undefined;
  const member = isMember(ours);
  const children = hasChildren(ours) ? childrenOf(ours) : undefined;
  const rest = subtract(children, theirs, recursive);
  return rest === children && (!member || !gone) ? ours : nodeOf(member && !gone, rest);
}

/** The children of a node as a set of its own. */
export function childrenOf(node: FieldsV1): FieldSet {
  if (!(SELF in node)) return hasChildren(node) ? node : undefined;
  const { [SELF]: _, ...children } = node;
  return hasChildren(children) ? children : undefined;
}

/** Calls `visit` with the path of each member: first those of a level, then what is below it, as upstream does. */
export function forEachPath(set: FieldSet, visit: (path: string) => void, prefix = ""): void {
  if (set === undefined) return;
  for (const element in set) {
    const node = set[element];
    if (element !== SELF && node !== undefined && isMember(node)) visit(prefix + formatElement(element));
  }
  for (const element in set) {
    const node = set[element];
    if (element !== SELF && node !== undefined && hasChildren(node)) {
      forEachPath(node, visit, prefix + formatElement(element));
    }
  }
}

/** A path element as people read it: `.spec`, `[name="x"]`, `[="x"]`. */
export function formatElement(element: string): string {
  const content = element.slice(2);
  switch (element.slice(0, 2)) {
    case "f:":
      return `.${content}`;
    case "k:": {
      const keys = JSON.parse(content) as Record<string, unknown>;
      return `[${Object.entries(keys)
        .map(([name, value]) => `${name}=${show(value)}`)
        .join(",")}]`;
    }
    case "v:":
      return `[=${show(JSON.parse(content))}]`;
    default:
      return `[${content}]`;
  }
}

const show = (value: unknown): string => (typeof value === "string" ? quote(value) : JSON.stringify(value));

/**
 * Reads a set that a client wrote: keys of list items in the form that we write, elements of unknown kinds left out.
 * Throws a SyntaxError when a path element is malformed.
 */
export function parseFields(fields: unknown): FieldSet {
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw new SyntaxError("A set of fields must be an object");
  }
  let out: FieldsV1 | undefined;
  for (const [element, value] of Object.entries(fields)) {
    if (element === SELF) continue;
    const normal = normalElement(element);
    if (normal === undefined) continue;
    const children = parseFields(value);
    const self = Object.hasOwn(value as object, SELF);
    const node = nodeOf(self || children === undefined, children);
    if (node !== undefined) (out ??= {})[normal] = node;
  }
  return out;
}

function normalElement(element: string): string | undefined {
  if (element[1] !== ":") throw new SyntaxError(`${JSON.stringify(element)} is no path element`);
  const content = element.slice(2);
  switch (element.slice(0, 1)) {
    case "f":
    case "i":
      return element;
    case "v":
      return `v:${JSON.stringify(JSON.parse(content))}`;
    case "k": {
      const keys = JSON.parse(content) as unknown;
      if (typeof keys !== "object" || keys === null) throw new SyntaxError(`${JSON.stringify(element)} has no keys`);
      return `k:${JSON.stringify(Object.fromEntries(Object.entries(keys).toSorted(byName)))}`;
    }
    default:
      return undefined;
  }
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : a > b ? 1 : 0);

/** The set in the order in which upstream writes it, for people and for texts that don't change without a reason. */
export function sortedFields(set: FieldsV1): FieldsV1 {
  if (isSorted(set)) return set;
  const out: FieldsV1 = {};
  for (const element of Object.keys(set).sort()) out[element] = sortedFields(set[element] ?? LEAF);
  return out;
}

function isSorted(set: FieldsV1): boolean {
  let last = "";
  for (const element in set) {
    if (element < last || !isSorted(set[element] ?? LEAF)) return false;
    last = element;
  }
  return true;
}
