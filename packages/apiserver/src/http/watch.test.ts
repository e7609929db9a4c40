import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pod } from "./test-api.ts";
import { WatchLines } from "./watch.ts";

describe("WatchLines", () => {
  it("makes the line of an event once for all who watch", () => {
    const lines = new WatchLines();
    let made = 0;
    const object = pod("a");
    const line = (type: string, variant = "object"): Uint8Array =>
      lines.line(object, variant, type, () => {
        made++;
        return object.bytes;
      });
    assert.equal(line("ADDED"), line("ADDED"));
    assert.equal(made, 1);
    assert.notEqual(line("MODIFIED"), line("ADDED"));
    assert.notEqual(line("ADDED", "table"), line("ADDED"));
    assert.equal(made, 3);
    assert.equal(
      Buffer.from(line("ADDED")).toString(),
      `{"type":"ADDED","object":${Buffer.from(object.bytes).toString()}}\n`,
    );
  });

  it("keeps only the newest", () => {
    const lines = new WatchLines({ maxObjects: 2 });
    const objects = [pod("a"), pod("b"), pod("c")];
    let made = 0;
    const askAll = (): void => {
      for (const object of objects) lines.line(object, "object", "ADDED", () => (made++, object.bytes));
    };
    askAll();
    askAll();
    assert.equal(made, 6);
  });

  it("holds no more bytes than it may", () => {
    const lines = new WatchLines({ maxBytes: 100 });
    const object = pod("a", { filler: "x".repeat(200) });
    let made = 0;
    for (let i = 0; i < 2; i++) lines.line(object, "object", "ADDED", () => (made++, object.bytes));
    assert.equal(made, 2);
  });
});
