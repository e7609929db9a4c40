/**
 * Amounts of resources: `100m` CPUs, `128Mi` bytes. Exact, down to a billionth.
 * Source: apimachinery's `resource.Quantity`, Kubernetes "Resource units".
 */

/** How an amount is written again: `12M`, `12Mi` or `12e6`. */
export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

/** An amount of a resource. Immutable. */
export interface Quantity {
  /** The amount in billionths, the smallest step there is; finer amounts are rounded away from zero. */
  readonly nanos: bigint;
  readonly format: QuantityFormat;
}

const NANOS = 1_000_000_000n;
/** Binary amounts are capped here: the largest int64. */
const MAX_BINARY = (2n ** 63n - 1n) * NANOS;
/** Nobody means an amount with more digits, and computing it would cost. */
const MAX_EXPONENT = 400;

const FORM = /^([+-]?)(\d*)(?:\.(\d*))?(?:([numkMGTPE])|([KMGTPE])i|[eE]([+-]?\d+))?$/;
/** Well-formed, but for a suffix that doesn't exist. */
const OTHER_SUFFIX = /^[+-]?\d+(?:\.\d*)?[eEinumkKMGTP]+[-+]?\d*$/;
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: Readonly<Record<string, bigint>> = { K: 10n, M: 20n, G: 30n, T: 40n, P: 50n, E: 60n };
const DECIMAL_SUFFIX = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY_SUFFIX = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/** Reads an amount as it stands in JSON, a string or a number. Throws a SyntaxError in upstream's words. */
export function parseQuantity(value: string | number): Quantity {
  const text = typeof value === "number" ? String(value) : value;
  if (text.length > MAX_EXPONENT) throw new SyntaxError(WRONG_NUMBER);
  const match = FORM.exec(text);
  if (match === null) throw new SyntaxError(OTHER_SUFFIX.test(text) ? WRONG_SUFFIX : WRONG_FORM);
  const [, sign, whole = "", fraction = "", decimal, binary, exponent] = match;
  if (whole === "" && fraction === "") throw new SyntaxError(WRONG_FORM);

  const digits = BigInt(whole + fraction);
  let nanos: bigint;
  let format: QuantityFormat = "DecimalSI";
  if (binary !== undefined) {
    nanos = min(shift(digits << (BINARY[binary] ?? 0n), 9 - fraction.length), MAX_BINARY);
    if (nanos >= NANOS || nanos === 0n) format = "BinarySI";
  } else if (exponent !== undefined) {
    const power = Number(exponent);
    if (Math.abs(power) > MAX_EXPONENT) throw new SyntaxError(WRONG_NUMBER);
    nanos = shift(digits, power + 9 - fraction.length);
    format = "DecimalExponent";
  } else {
    nanos = shift(digits, (DECIMAL[decimal ?? ""] ?? 0) + 9 - fraction.length);
  }
  return { nanos: sign === "-" ? -nanos : nanos, format };
}

const WRONG_FORM = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX = "unable to parse quantity's suffix";
const WRONG_NUMBER = "unable to parse numeric part of quantity";

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** `value` × 10^`power`, rounded up. */
function shift(value: bigint, power: number): bigint {
  if (power >= 0) return value * 10n ** BigInt(power);
  return divideUp(value, 10n ** BigInt(-power));
}

/** Rounds away from zero. */
function divideUp(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  if (quotient * by === value) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

/** Writes an amount in canonical form: an integer, with the largest suffix that keeps it one. */
export function formatQuantity({ nanos, format }: Quantity): string {
  if (nanos === 0n) return "0";
  const units = nanos / NANOS;
  if (format === "BinarySI" && units * NANOS === nanos && (units >= 1024n || units <= -1024n)) {
    const [number, times] = withoutFactors(units, 1024n, BINARY_SUFFIX.length - 1);
    return `${number}${BINARY_SUFFIX[times]}`;
  }
  const most = format === "DecimalExponent" ? Infinity : DECIMAL_SUFFIX.length - 1;
  const [number, times] = withoutFactors(nanos, 1000n, most);
  if (format !== "DecimalExponent") return `${number}${DECIMAL_SUFFIX[times]}`;
  return times === 3 ? `${number}` : `${number}e${times * 3 - 9}`;
}

function withoutFactors(value: bigint, factor: bigint, most: number): [rest: bigint, times: number] {
  let times = 0;
  while (times < most && value % factor === 0n) {
    value /= factor;
    times++;
  }
  return [value, times];
}

/**
 * The text that the API keeps for an amount in an object: as it was written if that says the same as briefly
 * (`1.125`, `+5`), else canonical (`0.5` gives `500m`, `1024Mi` gives `1Gi`). Throws as `parseQuantity` does.
 */
export function canonicalQuantity(value: string | number): string {
  const text = typeof value === "number" ? String(value) : value;
  return PLAIN.test(text) || isKept(text) ? text : formatQuantity(parseQuantity(text));
}

/** Whole amounts that no larger suffix could shorten, small enough for any suffix: the usual ones. */
const PLAIN = /^(?:0|[1-9]\d{0,2}(?:[numkMGTPE]|[KMGTP]i)?)$/;

/** Upstream keeps the text of amounts that fit an int64 without rounding and end in no group of three zeros. */
function isKept(text: string): boolean {
  const match = FORM.exec(text);
  if (match === null) return false;
  const [, , zeros = "", fraction = "", decimal, binary, exponent] = match;
  const whole = zeros.replace(/^0+/, "");
  const digits = (whole === "" ? "0" : whole) + fraction;
  if (binary !== undefined) {
    const bits = Number(BINARY[binary] ?? 0n);
    const fits = fraction === "" && digits.length + Math.trunc((bits * 3) / 10) <= 14;
    return fits && Number(digits) % 8 !== 0;
  }
  const power = (exponent === undefined ? (DECIMAL[decimal ?? ""] ?? 0) : Number(exponent)) - fraction.length;
  const fits = digits.length <= 18 && power >= -9 && power <= MAX_EXPONENT;
  return fits && power % 3 === 0 && !digits.endsWith("000") && !digits.startsWith("0");
}

/** Negative, zero or positive, as `a` is less than, equal to or more than `b`. */
export const compareQuantities = (a: Quantity, b: Quantity): number =>
  a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0;

/** The sum, written as `a` is, or as `b` when `a` is nothing. */
export const addQuantities = (a: Quantity, b: Quantity): Quantity => ({
  nanos: a.nanos + b.nanos,
  format: a.nanos === 0n ? b.format : a.format,
});

/** The difference, written as `a` is, or as `b` when `a` is nothing. */
export const subtractQuantities = (a: Quantity, b: Quantity): Quantity => ({
  nanos: a.nanos - b.nanos,
  format: a.nanos === 0n ? b.format : a.format,
});

/** In whole units, rounded away from zero; inexact beyond 2^53. */
export const quantityUnits = ({ nanos }: Quantity): number => Number(divideUp(nanos, NANOS));

/** In thousandths, rounded away from zero: CPUs as schedulers and cgroups count them. Inexact beyond 2^53. */
export const quantityMillis = ({ nanos }: Quantity): number => Number(divideUp(nanos, 1_000_000n));
