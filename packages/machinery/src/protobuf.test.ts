import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import zlib from "node:zlib";
import type { Json } from "./object.ts";
import { decodeKubernetesProtobuf, hasProtobuf, isKubernetesProtobuf } from "./protobuf.ts";
import { tableFields, type TableField } from "./table.ts";

/** Objects of every kind as Go's packages for 1.35 encode them; `tools/codegen/record-oracle.ts` made the file. */
interface Recorded {
  /** Nothing set; pointers set to zeros and lists of one zero; everything set. */
  mode: "empty" | "zero" | "full";
  json: { [key: string]: Json } & { apiVersion: string; kind: string };
  /** base64 */
  protobuf: string;
}

const recorded = zlib
  .brotliDecompressSync(readFileSync(new URL("../test/protobuf-oracle.jsonl.br", import.meta.url)))
  .toString("utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Recorded);

const definitionOf = ({ apiVersion, kind }: Recorded["json"]): string => {
  const group = apiVersion.includes("/") ? (apiVersion.split(/[./]/)[0] ?? "") : "core";
  return tableFields(`${group}.v1.${kind}`) === undefined ? `meta.v1.${kind}` : `${group}.v1.${kind}`;
};

const fieldsOf = (name: string): TableField[] =>
  (tableFields(name) ?? []).flatMap((field) => (field.inline ? fieldsOf(field.base) : [field]));

const isObject = (json: Json): json is { [key: string]: Json } =>
  typeof json === "object" && json !== null && !Array.isArray(json);

/**
 * Go's JSON without what means nothing: nulls, and structs and IntOrStrings that omitempty cannot leave out though they are
 * empty. Everything else must come out of protobuf as it is.
 */
function meaningful(name: string, json: Json): Json {
  if (!isObject(json)) return json;
  const fields = new Map(fieldsOf(name).map((field) => [field.name, field]));
  const result: { [key: string]: Json } = {};
  for (const [key, value] of Object.entries(json)) {
    const field = fields.get(key);
    assert.ok(field !== undefined, `${name} has no field ${key}`);
    if (value === null) continue;
    let kept: Json = value;
    if (field.base.includes(".")) {
      if (Array.isArray(value)) kept = value.map((item) => meaningful(field.base, item));
      else if (field.shape === "one") kept = meaningful(field.base, value);
      else kept = Object.fromEntries(Object.entries(value).map(([k, v]) => [k, meaningful(field.base, v)]));
    }
    if (field.shape === "one" && !field.pointer && !field.keepsZero) {
      if (field.base === "intstr" && kept === 0) continue;
      if (field.base.includes(".") && isObject(kept) && Object.keys(kept).length === 0) continue;
    }
    result[key] = kept;
  }
  return result;
}

describe("decodeKubernetesProtobuf()", () => {
  for (const { mode, json, protobuf } of recorded) {
    it(`reads ${json.apiVersion} ${json.kind}, ${mode}, as Go's JSON has it`, () => {
      const decoded = decodeKubernetesProtobuf(Buffer.from(protobuf, "base64"));
      assert.equal(decoded.apiVersion, json.apiVersion);
      assert.equal(decoded.kind, json.kind);
      assert.deepEqual(decoded.object, meaningful(definitionOf(json), json));
    });
  }

  const envelope = (apiVersion: string, kind: string, raw: string, encoding = ""): Uint8Array => {
    const field = (number: number, content: Buffer): Buffer =>
      Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
    const typeMeta = Buffer.concat([field(1, Buffer.from(apiVersion)), field(2, Buffer.from(kind))]);
    const parts = [field(1, typeMeta), field(2, Buffer.from(raw, "hex")), field(3, Buffer.from(encoding))];
    return Buffer.concat([Buffer.from("k8s\0"), ...parts]);
  };

  it("reads DeleteOptions of any group", () => {
    const { object } = decodeKubernetesProtobuf(envelope("apps/v1", "DeleteOptions", "0800"));
    assert.deepEqual(object, { apiVersion: "apps/v1", kind: "DeleteOptions", gracePeriodSeconds: 0 });
  });

  it("passes over fields it does not know", () => {
    const { object } = decodeKubernetesProtobuf(envelope("v1", "ConfigMap", "fa3f0161" + "2000"));
    assert.deepEqual(object, { apiVersion: "v1", kind: "ConfigMap", immutable: false });
  });

  it("refuses what is no body of a kind it knows", () => {
    const cases: [Uint8Array, RegExp][] = [
      [Buffer.from("{}"), /does not begin as Kubernetes protobuf$/],
      [envelope("example.com/v1", "Widget", ""), /no protobuf message is known for example.com\/v1, Kind=Widget$/],
      [envelope("v1", "ConfigMap", "", "gzip"), /content encoding "gzip" is not supported$/],
      [envelope("v1", "ConfigMap", "0aff"), /Cannot decode protobuf message core.v1.ConfigMap at byte/],
      [envelope("coordination.k8s.io/v1", "Lease", "1209" + "2207" + "08ffffffffff3f"), /are no time$/],
    ];
    for (const [bytes, message] of cases) {
      assert.throws(() => decodeKubernetesProtobuf(bytes), { name: "ProtobufError", message });
    }
  });
});

it("isKubernetesProtobuf() and hasProtobuf() tell what can be decoded", () => {
  assert.equal(isKubernetesProtobuf(Buffer.from("k8s\0")), true);
  assert.equal(isKubernetesProtobuf(Buffer.from("k8s")), false);
  assert.equal(hasProtobuf("policy/v1", "Eviction"), true);
  assert.equal(hasProtobuf("devices.example.com/v1", "Device"), false);
  assert.equal(hasProtobuf("v1", "constructor"), false);
});
