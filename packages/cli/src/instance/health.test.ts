import assert from "node:assert/strict";
import { it } from "node:test";
import { lastWords } from "./health.ts";

it("lastWords() finds why a daemon has ended, and takes nothing of its healthy life for it", () => {
  const serves = '{"level":"info","msg":"cloud serves"}';
  const failed = '{"level":"error","msg":"cannot commit"}';
  assert.equal(lastWords([failed, "skerry: Port 6443 is taken", serves]), "Port 6443 is taken");
  assert.equal(lastWords([failed, serves, ""]), failed);
  assert.equal(lastWords([serves, "FATAL ERROR: Reached heap limit", ""]), "FATAL ERROR: Reached heap limit");
  assert.equal(lastWords([serves, '{"level":"warn","msg":"slow"}']), undefined);
  assert.equal(lastWords([""]), undefined);
});
