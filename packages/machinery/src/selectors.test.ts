import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { exactFieldValue, formatFieldSelector, matchesFields, parseFieldSelector } from "./field-selectors.ts";
import {
  exactLabelValue,
  formatSelector,
  matchesSelector,
  parseLabelSelector,
  selectorOf,
  validateLabelSelector,
} from "./selectors.ts";

const selects = (text: string, labels: Record<string, string>): boolean =>
  matchesSelector(parseLabelSelector(text), labels);

describe("label selectors", () => {
  it("compare, contain and exist", () => {
    const labels = { app: "web", tier: "a", gen: "10" };
    for (const yes of [
      "",
      "app=web",
      "app==web",
      "app!=db",
      "app in (db, web)",
      "app notin (db)",
      "app",
      "!db",
      "none!=x",
      "none notin (x)",
      "gen>9",
      "gen<11",
      "app=web,tier=a",
      " app = web , ! none ",
    ]) {
      assert.ok(selects(yes, labels), yes);
    }
    for (const no of ["app=db", "app!=web", "none=x", "!app", "none", "gen>10", "app>1", "none<1", "app=web,tier=b"]) {
      assert.ok(!selects(no, labels), no);
    }
    assert.ok(!matchesSelector(parseLabelSelector("toString"), {}));
  });

  it("know keywords from values by their place", () => {
    assert.ok(selects("in in (in,notin)", { in: "notin" }));
    assert.ok(selects("in", { in: "x" }));
    assert.ok(selects("x=in", { x: "in" }));
  });

  it("know the empty value", () => {
    assert.ok(selects("x=", { x: "" }));
    assert.ok(selects("x in ()", { x: "" }));
    assert.ok(selects("x in (a,)", { x: "" }));
    assert.ok(selects("x in (,a)", { x: "" }));
    assert.deepEqual(parseLabelSelector("x in (a,,b)")[0]?.values, ["", "a", "b"]);
  });

  it("are refused in upstream's words", () => {
    const refused = (text: string, message: string): void => {
      assert.throws(() => parseLabelSelector(text), { reason: "BadRequest", message });
    };
    refused("a=b c", "found 'c', expected: ',' or 'end of string'");
    refused("a=b,", "found '', expected: identifier after ','");
    refused("=", "found '=', expected: !, identifier, or 'end of string'");
    refused("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
    refused("a in b", "unable to parse requirement: found 'b' expected: '('");
    refused("a==!", "unable to parse requirement: found '!', expected: identifier");
    assert.throws(() => parseLabelSelector("a in (b"), /unable to parse requirement: found ''/);
    assert.throws(() => parseLabelSelector("a=-"), /values\[0\]\[a\]: Invalid value: "-": a valid label must be/);
    assert.throws(() => parseLabelSelector("-=a"), /Invalid value: "-": name part must consist of/);
    assert.throws(() => parseLabelSelector("a>b"), /the value must be an integer/);
    assert.throws(() => parseLabelSelector("a constructor (b)"), /found 'constructor', expected: in, notin/);
  });

  it("come from LabelSelector objects too", () => {
    const selector = selectorOf({
      matchLabels: { b: "1" },
      matchExpressions: [
        { key: "a", operator: "In", values: ["y", "x"] },
        { key: "c", operator: "DoesNotExist" },
      ],
    });
    assert.equal(formatSelector(selector), "a in (x,y),b=1,!c");
    assert.equal(exactLabelValue(selector, "b"), "1");
    assert.equal(exactLabelValue(selector, "a"), undefined);
    assert.deepEqual(selectorOf({}), []);
    assert.throws(() => selectorOf({ matchExpressions: [{ key: "a", operator: "Like" }] }), {
      message: '"Like" is not a valid label selector operator',
    });
    assert.throws(() => selectorOf({ matchExpressions: [{ key: "a", operator: "constructor" }] }), {
      message: '"constructor" is not a valid label selector operator',
    });
    assert.deepEqual(
      validateLabelSelector({ matchExpressions: [{}] }, "spec.selector").map(({ field }) => field),
      ["operator", "key", "key"].map((name) => `spec.selector.matchExpressions[0].${name}`),
    );
    assert.deepEqual(validateLabelSelector({ matchExpressions: [{ key: "a", operator: "In" }] }, "spec.selector"), [
      {
        type: "FieldValueRequired",
        field: "spec.selector.matchExpressions[0].values",
        message: "Required value: must be specified when `operator` is 'In' or 'NotIn'",
      },
    ]);
  });

  it("formatting loses nothing", () => {
    const word = fc.stringMatching(/^[a-z]([-a-z_.0-9]{0,5}[a-z0-9])?$/);
    const requirement = fc.oneof(
      word,
      word.map((key) => `!${key}`),
      fc.tuple(word, fc.constantFrom("=", "==", "!="), fc.option(word, { nil: "" })).map((parts) => parts.join("")),
      fc
        .tuple(word, fc.constantFrom("in", "notin"), fc.array(word, { minLength: 1, maxLength: 4 }))
        .map(([key, operator, values]) => `${key} ${operator} (${values.join(",")})`),
      fc.tuple(word, fc.constantFrom("<", ">"), fc.integer()).map(([key, op, n]) => `${key}${op}${Math.abs(n)}`),
    );
    fc.assert(
      fc.property(fc.array(requirement, { maxLength: 5 }), (parts) => {
        const selector = parseLabelSelector(parts.join(","));
        assert.deepEqual(parseLabelSelector(formatSelector(selector)), selector);
      }),
    );
  });
});

describe("field selectors", () => {
  const get = (field: string): string => ({ "metadata.name": "a,b", "status.phase": "Running" })[field] ?? "";

  it("compare fields, missing ones being empty", () => {
    for (const yes of ["", "status.phase=Running", "status.phase==Running,spec.nodeName=", "spec.nodeName!=x"]) {
      assert.ok(matchesFields(parseFieldSelector(yes), get), yes);
    }
    assert.ok(matchesFields(parseFieldSelector("metadata.name=a\\,b"), get));
    assert.ok(!matchesFields(parseFieldSelector("status.phase!=Running"), get));
    assert.equal(exactFieldValue(parseFieldSelector("metadata.name=x,a!=b"), "metadata.name"), "x");
  });

  it("are refused in upstream's words", () => {
    assert.throws(() => parseFieldSelector("x"), { message: "invalid selector: 'x'; can't understand 'x'" });
    assert.throws(() => parseFieldSelector("x=1", () => false), { message: "field label not supported: x" });
    assert.throws(() => parseFieldSelector("x=\\a"), { reason: "BadRequest" });
    assert.throws(() => parseFieldSelector("x=a\\"), { reason: "BadRequest" });
    assert.throws(() => parseFieldSelector("x=a=b"), { reason: "BadRequest" });
  });

  it("formatting loses nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom("a", "b.c"), fc.constantFrom("=", "!="), fc.string())), (terms) => {
        const selector = terms.map(([field, operator, value]) => ({ field, operator, value }) as const);
        assert.deepEqual(parseFieldSelector(formatFieldSelector(selector)), selector);
      }),
    );
  });
});
