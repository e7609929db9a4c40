import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { negotiateForm, type AnswerForm } from "./negotiate.ts";

const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

describe("negotiateForm()", () => {
  const all: AnswerForm[] = ["table", "metadata"];
  const cases: [string | undefined, AnswerForm[], AnswerForm | undefined][] = [
    [undefined, all, "object"],
    ["", all, "object"],
    ["*/*", all, "object"],
    ["application/json, */*", all, "object"],
    ["application/vnd.kubernetes.protobuf, */*", all, "object"],
    ["application/vnd.kubernetes.protobuf", all, undefined],
    ["text/html", all, undefined],
    [TABLE, all, "table"],
    [TABLE, [], undefined],
    [`${TABLE},application/json`, [], "object"],
    [`application/json;as=Table;v=v1beta1;g=meta.k8s.io`, all, undefined],
    [`application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,${PARTIAL}`, all, "metadata"],
    ["application/json;q=0", all, undefined],
    [`application/json;q=0.5,${TABLE};q=0.9`, all, "table"],
    ["application/json;stream=watch", all, "object"],
  ];
  for (const [accept, forms, expected] of cases) {
    it(`answers ${expected ?? "NotAcceptable"} to ${accept} where there is ${forms.join(" and ") || "nothing else"}`, () => {
      if (expected === undefined)
        assert.throws(() => negotiateForm(accept, forms), { name: "StatusError", reason: "NotAcceptable" });
      else assert.equal(negotiateForm(accept, forms), expected);
    });
  }
});
