import assert from "node:assert/strict";
import { it } from "node:test";
import { lastWords } from "./health.ts";

it("lastWords() finds why a daemon has ended, and takes nothing of its healthy life for it", () => {
  const serves = '{"level":"info","msg":"cloud serves"}';
  const failed = '{"level":"error","msg":"cannot commit"}';
  const refused = "skerry: Port 6443 is taken";
  assert.equal(lastWords([serves, failed, refused]), "Port 6443 is taken");
  assert.equal(lastWords([failed, refused, serves]), undefined, "that was the end of the life before");
  assert.equal(lastWords([failed, serves, ""]), failed);
  assert.equal(lastWords([serves, "FATAL ERROR: Reached heap limit", ""]), "FATAL ERROR: Reached heap limit");
  const crash = ["TypeError: x is not a function", "    at run (a.ts:1:2) {", "  code: 1", "}", "", "Node.js v26.10.0"];
  assert.equal(lastWords([serves, ...crash]), "TypeError: x is not a function");
  assert.equal(lastWords([serves, '{"level":"warn","msg":"slow"}']), undefined);
  assert.equal(lastWords([""]), undefined);
});
