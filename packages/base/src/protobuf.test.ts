import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { ProtobufError } from "./protobuf-error.ts";
import { protobufCodec, type ProtobufCodec } from "./protobuf.ts";
import type { ProtobufTable } from "./protobuf-table.ts";

const SCALARS = [
  "bool",
  "bytes",
  "double",
  "fixed32",
  "fixed64",
  "float",
  "int32",
  "int64",
  "sfixed32",
  "sfixed64",
  "sint32",
  "sint64",
  "string",
  "uint32",
  "uint64",
] as const;
type Scalar = (typeof SCALARS)[number];

const isPackable = (scalar: Scalar): boolean => scalar !== "string" && scalar !== "bytes";

/** A message with every scalar as singular, optional, list and packed field, maps, an enum, and itself. */
const everything = [
  ...SCALARS.map((scalar, i) => `${i + 1}:one_${scalar}:${scalar}`),
  ...SCALARS.map((scalar, i) => `${i + 101}:maybe_${scalar}:?${scalar}`),
  ...SCALARS.map((scalar, i) => `${i + 201}:list_${scalar}:*${scalar}`),
  ...SCALARS.filter(isPackable).map((scalar, i) => `${i + 301}:packed_${scalar}:+${scalar}`),
  "401:labels:{string,string}",
  "402:byNumber:{sint32,Everything}",
  "403:byFlag:{bool,Color}",
  "404:color:Color",
  "405:colors:+Color",
  "406:child:Everything",
  "407:byLong:{int64,string}",
  "2000:children:*Everything",
];
const table: ProtobufTable = {
  messages: { Everything: everything.join(" "), Empty: "", Old: "1:one_string:string 7:labels:{string,string}" },
  enums: { Color: "0:RED 1:GREEN 7:BLUE" },
  services: { "paint.v1.Painter": { Paint: "Empty *Everything" } },
};
const codec = protobufCodec(table);

/** The other end: protobufjs with the same message. */
const theirs = protobuf.Root.fromJSON({
  nested: {
    Color: { values: { RED: 0, GREEN: 1, BLUE: 7 } },
    Everything: {
      fields: Object.fromEntries(
        everything.map((text) => {
          const [id = "", name = "", type = ""] = text.split(":");
          const map = /^\{(.*),(.*)\}$/.exec(type);
          if (map !== null) return [name, { id: Number(id), keyType: map[1], type: map[2] }];
          const bare = type.replace(/^[*+?]/, "");
          const options = type.startsWith("*") && bare !== "Everything" ? { packed: false } : {};
          return [name, { id: Number(id), type: bare, ...(/^[*+]/.test(type) ? { rule: "repeated" } : {}), options }];
        }),
      ) as Record<string, protobuf.IField>,
    },
  },
}).lookupType("Everything");

const values: Record<Scalar, fc.Arbitrary<unknown>> = {
  bool: fc.boolean(),
  bytes: fc.uint8Array({ maxLength: 40 }),
  double: fc.double({ noNaN: true }),
  fixed32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fixed64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  float: fc.float({ noNaN: true }),
  int32: fc.integer(),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  sfixed32: fc.integer(),
  sfixed64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  sint32: fc.integer(),
  sint64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  string: fc.string({ unit: "grapheme", maxLength: 60 }),
  uint32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  uint64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
};
const color = fc.constantFrom("RED", "GREEN", "BLUE");
const key = fc.string({ unit: "grapheme", maxLength: 8 });

/** A message whose nested ones, if it has any, go `depth` levels down. */
const message = (depth: number): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(
    {
      ...Object.fromEntries(SCALARS.map((scalar) => [`one_${scalar}`, values[scalar]])),
      ...Object.fromEntries(SCALARS.map((scalar) => [`maybe_${scalar}`, values[scalar]])),
      ...Object.fromEntries(SCALARS.map((scalar) => [`list_${scalar}`, fc.array(values[scalar], { maxLength: 5 })])),
      ...Object.fromEntries(
        SCALARS.filter(isPackable).map((scalar) => [`packed_${scalar}`, fc.array(values[scalar], { maxLength: 5 })]),
      ),
      labels: fc.dictionary(key, key, { maxKeys: 4, noNullPrototype: true }),
      // Not "false": protobufjs takes the key of its own object, a string, for true when it encodes.
      byFlag: fc.dictionary(fc.constant("true"), color, { noNullPrototype: true }),
      color,
      colors: fc.array(color, { maxLength: 4 }),
      ...(depth > 0 && {
        byNumber: fc.dictionary(fc.integer().map(String), message(depth - 1), {
          maxKeys: 2,
          noNullPrototype: true,
        }),
        child: message(depth - 1),
        children: fc.array(message(depth - 1), { maxLength: 2 }),
      }),
    },
    { requiredKeys: [] },
  );

/** What decoding must yield for a message that was encoded: absent fields as the table says. */
function filled(value: Record<string, unknown>): Record<string, unknown> {
  const empty = codec.decode("Everything", new Uint8Array()) as Record<string, unknown>;
  const deep = (content: unknown): Record<string, unknown> => filled(content as Record<string, unknown>);
  for (const [name, content] of Object.entries(value)) {
    if (name === "child") empty[name] = deep(content);
    else if (name === "children") empty[name] = (content as unknown[]).map(deep);
    else if (name === "byNumber") {
      empty[name] = Object.fromEntries(Object.entries(content as object).map(([k, v]) => [k, deep(v)]));
    } else empty[name] = content;
  }
  return empty;
}

/** A form that can be compared: bytes of any class, keys in any order. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, content]) => [`.${name}`, plain(content)]));
}

describe("protobufCodec()", () => {
  it("decodes what it encoded", () => {
    fc.assert(
      fc.property(message(2), (value) => {
        const decoded = codec.decode("Everything", codec.encode("Everything", value));
        assert.deepEqual(plain(decoded), plain(filled(value)));
      }),
      { numRuns: 50, interruptAfterTimeLimit: 10_000 },
    );
  });

  it("is understood by another implementation, and understands it", () => {
    fc.assert(
      fc.property(message(2), (value) => {
        const ours = codec.encode("Everything", value);
        const decoded = theirs.decode(ours);
        const again = codec.decode("Everything", theirs.encode(decoded).finish());
        assert.deepEqual(plain(again), plain(filled(value)));
      }),
      { numRuns: 50, interruptAfterTimeLimit: 10_000 },
    );
  });

  it("writes the same bytes as another implementation", () => {
    const value = { one_string: "a", one_int32: -1, labels: { k: "v" }, packed_int32: [1, 300], children: [{}] };
    const theirBytes = theirs.encode(theirs.fromObject(value)).finish();
    assert.deepEqual(Buffer.from(codec.encode("Everything", value)), Buffer.from(theirBytes));
  });

  it("refuses any truncated input or skips what is complete, and never reads beyond it", () => {
    fc.assert(
      fc.property(message(2), fc.nat(), (value, cut) => {
        const bytes = codec.encode("Everything", value);
        try {
          codec.decode("Everything", bytes.subarray(0, cut % (bytes.length + 1)));
        } catch (error) {
          assert.ok(error instanceof ProtobufError, String(error));
        }
      }),
    );
  });

  it("survives any bytes at all", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          codec.decode("Everything", bytes);
        } catch (error) {
          assert.ok(error instanceof ProtobufError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("keeps nanosecond timestamps exactly", () => {
    const value = { one_int64: 1_763_703_840_123_456_789n };
    const decoded = codec.decode("Everything", codec.encode("Everything", value));
    assert.equal(decoded["one_int64"], 1_763_703_840_123_456_789n);
  });

  it("decodes 64-bit integers as numbers when the table says so", () => {
    const numbers = protobufCodec({ ...table, int64: "number" });
    for (const one_int64 of [0, 1, -1, 2 ** 40, -(2 ** 40), Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER]) {
      const bytes = numbers.encode("Everything", { one_int64, one_sint64: one_int64 });
      const decoded = numbers.decode("Everything", bytes);
      assert.equal(decoded["one_int64"], one_int64);
      assert.equal(decoded["one_sint64"], one_int64);
    }
  });

  it("yields only the fields that were there when presence is explicit", () => {
    const explicit = protobufCodec({ messages: { M: "1:a:string 2:b:int32 3:c:*string" }, presence: "explicit" });
    assert.deepEqual(explicit.decode("M", explicit.encode("M", { b: 0 })), { b: 0 });
  });

  it("skips fields it does not know", () => {
    const bytes = codec.encode("Everything", { one_string: "kept", labels: { a: "b" }, one_double: 1, one_fixed32: 2 });
    assert.deepEqual(codec.decode("Empty", bytes), {});
  });

  it("tells an optional zero from an absent one", () => {
    const decoded = codec.decode("Everything", codec.encode("Everything", { maybe_int32: 0, one_int32: 0 }));
    assert.equal(decoded["maybe_int32"], 0);
    assert.equal("maybe_string" in decoded, false);
    assert.equal(decoded["one_int32"], 0);
    assert.equal(codec.encode("Everything", { one_int32: 0, color: "RED" }).length, 0);
  });

  it("keeps boolean and negative keys of maps apart", () => {
    const value = { byFlag: { true: "GREEN", false: "BLUE" }, byLong: { "-1": "a", "9007199254740993": "b" } };
    const decoded = codec.decode("Everything", codec.encode("Everything", value));
    assert.deepEqual(decoded["byFlag"], value.byFlag);
    assert.deepEqual(decoded["byLong"], value.byLong);
  });

  it("yields unknown enum values as numbers", () => {
    const bytes = codec.encode("Everything", { color: 5 });
    assert.equal(codec.decode("Everything", bytes)["color"], 5);
  });

  it("cannot be made to change a prototype through a map", () => {
    const labels = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
    const bytes = protobufCodec({ messages: { M: "7:labels:{string,string}" } }).encode("M", { labels });
    const decoded = codec.decode("Old", bytes) as { labels: object };
    assert.deepEqual(Object.entries(decoded.labels), [["__proto__", "x"]]);
    assert.equal(Object.getPrototypeOf(decoded.labels), Object.prototype);
  });

  it("merges a message that comes in two parts", () => {
    const first = codec.encode("Everything", { child: { one_string: "a", list_int32: [1] } });
    const second = codec.encode("Everything", { child: { one_int32: 2, list_int32: [3] } });
    const { child } = codec.decode("Everything", Buffer.concat([first, second])) as {
      child: Record<string, unknown>;
    };
    assert.deepEqual([child["one_string"], child["one_int32"], child["list_int32"]], ["a", 2, [1, 3]]);
  });

  it("leaves room for a frame's header", () => {
    const bytes = codec.encode("Everything", { one_string: "x".repeat(3000) }, 5);
    assert.deepEqual([...bytes.subarray(0, 5)], [0, 0, 0, 0, 0]);
    assert.equal((codec.decode("Everything", bytes.subarray(5)) as { one_string: string }).one_string.length, 3000);
  });

  it("names the message and field of a value that does not fit", () => {
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ one_int32: 2 ** 31 }, /^Cannot encode protobuf message Everything: field one_int32: 2147483648 is no int32$/],
      [{ one_int32: 1.5 }, /field one_int32: 1.5 is not an integer$/],
      [{ one_uint64: -1 }, /field one_uint64: -1 is no uint64$/],
      [{ one_string: 1 }, /field one_string: 1 is not a string$/],
      [{ child: { color: "PINK" } }, /field color: "PINK" is no value of Color$/],
      [{ list_string: "a" }, /field list_string: "a" is not an array$/],
    ];
    for (const [value, message] of cases) {
      assert.throws(() => codec.encode("Everything", value), { name: "ProtobufError", message });
    }
  });

  it("refuses messages nested without end", () => {
    let bytes: Uint8Array = new Uint8Array();
    const nest = protobufCodec({ messages: { M: "406:child:bytes" } });
    for (let i = 0; i < 101; i++) bytes = nest.encode("M", { child: bytes.length === 0 ? Buffer.from([8, 1]) : bytes });
    assert.throws(() => codec.decode("Everything", bytes), /messages are nested deeper than 100$/);
  });

  it("refuses lengths and varints that are too long, and groups", () => {
    const bad: [number[], RegExp][] = [
      [[0x6a, 5, 97], /5 bytes are needed and 1 are left$/],
      [[0x38, ...Array<number>(10).fill(255), 1], /a varint is longer than 10 bytes$/],
      [[0x6a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], /bytes are needed and 0 are left$/],
      [[0x3b, 1], /wire type 3 is not supported$/],
      [[0, 1], /a field number is out of range$/],
    ];
    for (const [bytes, message] of bad) {
      assert.throws(() => codec.decode("Everything", new Uint8Array(bytes)), { name: "ProtobufError", message });
    }
  });

  it("says where a method is called and what it takes", () => {
    assert.deepEqual(codec.method("paint.v1.Painter", "Paint"), {
      path: "/paint.v1.Painter/Paint",
      request: "Empty",
      response: "Everything",
      requestStream: false,
      responseStream: true,
    });
    assert.throws(() => codec.method("paint.v1.Painter", "Spray"), /Cannot find the method paint.v1.Painter\/Spray/);
  });

  it("refuses a table that is malformed when the message is first used", () => {
    const broken: ProtobufCodec = protobufCodec({ messages: { A: "1:a:B", C: "x:a:string" } });
    assert.throws(() => broken.encode("A", {}), /A.a has the unknown type "B"/);
    assert.throws(() => broken.encode("C", {}), /C has the malformed field "x:a:string"/);
    assert.throws(() => broken.encode("D", {}), /Cannot find the protobuf message "D"/);
  });
});
