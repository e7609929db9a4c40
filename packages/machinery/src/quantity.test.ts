import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityMillis,
  quantityUnits,
  subtractQuantities,
} from "./quantity.ts";

const format = (text: string): string => formatQuantity(parseQuantity(text));

/** Written forms of amounts that upstream knows. */
const text = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.nat(10 ** 9),
    fc.option(fc.nat(10 ** 6), { nil: undefined }),
    fc.constantFrom("", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "e3", "E-2", "e12"),
  )
  .map(([sign, whole, fraction, suffix]) => `${sign}${whole}${fraction === undefined ? "" : `.${fraction}`}${suffix}`);

describe("Quantity", () => {
  it("is written with the largest suffix that keeps it an integer", () => {
    for (const [from, to] of [
      ["0", "0"],
      ["0Gi", "0"],
      ["0.5", "500m"],
      ["1000m", "1"],
      ["1500m", "1500m"],
      ["1024Mi", "1Gi"],
      ["1.5Gi", "1536Mi"],
      ["1000Ki", "1000Ki"],
      ["1023", "1023"],
      ["0.5Ki", "512"],
      ["1000000", "1M"],
      ["12e6", "12e6"],
      ["1200e4", "12e6"],
      ["1e-3", "1e-3"],
      ["-1.5", "-1500m"],
      ["0.0000000001", "1n"],
      ["100Ei", "9223372036854775807"],
      ["0.001Ki", "1024m"],
    ] as const) {
      assert.equal(format(from), to, from);
    }
  });

  it("keeps the text where upstream keeps it", () => {
    for (const kept of ["1.125", "+5", "0100m", "100m", "128Mi", "1028Ki", "12E6", "1001E", "64Gi"]) {
      assert.equal(canonicalQuantity(kept), kept);
    }
    for (const [from, to] of [
      ["0.5", "500m"],
      ["1.5", "1500m"],
      ["1000", "1k"],
      ["1024Mi", "1Gi"],
      ["1.5Gi", "1536Mi"],
    ]) {
      assert.equal(canonicalQuantity(from ?? ""), to);
    }
    assert.equal(canonicalQuantity(2), "2");
    assert.equal(canonicalQuantity(0.25), "250m");
  });

  it("refuses what is no amount, in upstream's words", () => {
    for (const wrong of ["", "x", "1 Gi", "--1", "1.1.M", "1+1.0M", ".", "m"]) {
      assert.throws(() => parseQuantity(wrong), /quantities must match the regular expression/, wrong);
      assert.throws(() => canonicalQuantity(wrong), SyntaxError);
    }
    for (const wrong of ["1i", "1mi", "1K", "1e"]) {
      assert.throws(() => parseQuantity(wrong), /unable to parse quantity's suffix/, wrong);
    }
    assert.throws(() => parseQuantity("1e999999999999"), SyntaxError);
    assert.throws(() => parseQuantity("9".repeat(1_000_000)), SyntaxError);
  });

  it("counts units and thousandths, rounded up", () => {
    assert.equal(quantityMillis(parseQuantity("1.5")), 1500);
    assert.equal(quantityMillis(parseQuantity("1u")), 1);
    assert.equal(quantityUnits(parseQuantity("100m")), 1);
    assert.equal(quantityUnits(parseQuantity("128Mi")), 2 ** 27);
    assert.equal(quantityUnits(parseQuantity("-1100m")), -2);
  });

  it("formatting loses nothing", () => {
    fc.assert(
      fc.property(text, (written) => {
        const amount = parseQuantity(written);
        const again = parseQuantity(formatQuantity(amount));
        assert.equal(again.nanos, amount.nanos);
        assert.equal(formatQuantity(again), formatQuantity(amount));
        assert.equal(parseQuantity(canonicalQuantity(written)).nanos, amount.nanos);
      }),
    );
  });

  it("adds and compares as numbers do", () => {
    fc.assert(
      fc.property(text, text, (x, y) => {
        const [a, b] = [parseQuantity(x), parseQuantity(y)];
        const sum = addQuantities(a, b);
        assert.equal(sum.nanos, addQuantities(b, a).nanos);
        assert.equal(subtractQuantities(sum, b).nanos, a.nanos);
        assert.equal(compareQuantities(a, b), -compareQuantities(b, a) || 0);
        assert.equal(compareQuantities(sum, a), compareQuantities(b, parseQuantity("0")));
      }),
    );
  });
});
