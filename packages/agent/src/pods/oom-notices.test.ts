import assert from "node:assert/strict";
import { it } from "node:test";
import { OomNotices } from "./oom-notices.ts";

it("OomNotices remembers the containers that it was told of last", () => {
  const notices = new OomNotices();
  notices.add("again");
  for (let serial = 0; serial < 511; serial++) notices.add(`c${serial}`);
  notices.add("again");
  notices.add("one more");
  assert.equal(notices.ids.size, 512);
  for (const id of ["again", "one more", "c1"]) assert.ok(notices.ids.has(id), id);
  assert.equal(notices.ids.has("c0"), false);
});
