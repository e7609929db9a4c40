import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { humanDuration, shortHumanDuration } from "./duration.ts";
import { checkLabelValue, checkQualifiedName, validateAnnotations, validateLabels } from "./labels.ts";
import {
  byteLength,
  checkConfigMapKey,
  checkDns1035Label,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkEnvVarName,
  checkPathSegmentName,
  checkPortName,
} from "./names.ts";

describe("names", () => {
  it("DNS labels and subdomains have RFC 1123's form and length", () => {
    for (const good of ["a", "web-1", "0", "a".repeat(63)]) assert.deepEqual(checkDns1123Label(good), []);
    assert.deepEqual(checkDns1123Label("a.b"), ["must not contain dots"]);
    assert.deepEqual(checkDns1123Label("a".repeat(64)), ["must be no more than 63 characters"]);
    assert.deepEqual(checkDns1123Label("A"), [
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end " +
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is " +
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ]);
    assert.deepEqual(checkDns1123Subdomain("a.b-c.d"), []);
    assert.equal(checkDns1123Subdomain("a..b").length, 1);
    assert.equal(checkDns1123Subdomain("-").length, 1);
    assert.equal(checkDns1035Label("1a").length, 1);
  });

  it("other names have theirs", () => {
    assert.deepEqual(checkPathSegmentName("system:node"), []);
    assert.deepEqual(checkPathSegmentName("a/b%"), ["may not contain '/'", "may not contain '%'"]);
    assert.deepEqual(checkPathSegmentName(".."), ["may not be '..'"]);
    assert.deepEqual(checkPortName("http-1"), []);
    assert.equal(checkPortName("--").length, 3);
    assert.deepEqual(checkEnvVarName("A b.c"), []);
    assert.equal(checkEnvVarName("A=B").length, 1);
    assert.deepEqual(checkConfigMapKey("app.conf"), []);
    assert.deepEqual(checkConfigMapKey(".."), ["must not be '..'"]);
  });

  it("labels and annotations are checked key by key", () => {
    assert.deepEqual(checkQualifiedName("example.com/My_name.1"), []);
    assert.deepEqual(checkQualifiedName("/x"), ["prefix part must be non-empty"]);
    assert.equal(checkQualifiedName("a/").length, 2);
    assert.match(checkQualifiedName("a/b/c")[0] ?? "", /^a valid label key must consist .* with an optional DNS/);
    assert.deepEqual(checkLabelValue(""), []);
    assert.equal(checkLabelValue("a b").length, 1);
    assert.deepEqual(
      validateLabels({ ok: "1", "-": "x" }, "metadata.labels").map(({ field }) => field),
      ["metadata.labels"],
    );
    assert.deepEqual(validateAnnotations({ "Example.com/X": "any \u{1f6a2}" }, "metadata.annotations"), []);
    assert.deepEqual(
      validateAnnotations({ a: "x".repeat(256 * 1024) }, "metadata.annotations").map(({ type }) => type),
      ["FieldValueTooLong"],
    );
  });

  it("byteLength() counts as an encoder does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        assert.equal(byteLength(text), new TextEncoder().encode(text).length);
      }),
    );
  });
});

describe("durations", () => {
  const [s, m, h, d] = [1000, 60_000, 3_600_000, 86_400_000];

  it("humanDuration() prints ages as kubectl does", () => {
    for (const [ms, text] of [
      [-2 * s, "<invalid>"],
      [-s, "0s"],
      [119 * s, "119s"],
      [2 * m, "2m"],
      [3 * m + 10 * s, "3m10s"],
      [10 * m + 5 * s, "10m"],
      [3 * h, "3h"],
      [3 * h + 5 * m, "3h5m"],
      [9 * h + 5 * m, "9h"],
      [47 * h, "47h"],
      [51 * h, "2d3h"],
      [48 * h, "2d"],
      [8 * d + 5 * h, "8d"],
      [729 * d, "729d"],
      [730 * d, "2y"],
      [731 * d, "2y1d"],
      [3000 * d, "8y"],
    ] as const) {
      assert.equal(humanDuration(ms), text);
    }
  });

  it("shortHumanDuration() prints one unit", () => {
    for (const [ms, text] of [
      [-5 * s, "<invalid>"],
      [59 * s, "59s"],
      [61 * s, "1m"],
      [2 * h + m, "2h"],
      [364 * d, "364d"],
      [400 * d, "1y"],
    ] as const) {
      assert.equal(shortHumanDuration(ms), text);
    }
  });
});
