import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LogSink } from "./log-sink.ts";

/** A descriptor with room for so many bytes. */
function disk(room: number): { room: number; text: string; tries: number; sink: LogSink } {
  const made = { room, text: "", tries: 0, sink: undefined as unknown as LogSink };
  made.sink = new LogSink(1, {
    write: (_, bytes) => {
      made.tries++;
      if (made.room === 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      const taken = bytes.subarray(0, made.room);
      made.room -= taken.length;
      made.text += Buffer.from(taken).toString();
      return taken.length;
    },
  });
  return made;
}

describe("LogSink", () => {
  it("goes on with the rest of a line when there is room again", () => {
    const full = disk(8);
    full.sink.write("line one\n");
    full.sink.write("line two\n");
    assert.equal(full.text, "line one");
    full.room = 1_000;
    full.sink.write("line three\n");
    assert.equal(full.text, "line one\nline two\nline three\n");
  });

  it("never waits: a line costs one try while nothing is taken, and what does not fit is dropped and counted", () => {
    const full = disk(0);
    const line = `${"x".repeat(1023)}\n`;
    for (let n = 0; n < 100; n++) full.sink.write(line);
    assert.equal(full.tries, 100);
    full.room = 1_000_000;
    full.sink.write("back\n");
    const lines = full.text.split("\n");
    assert.equal(lines.filter((each) => each.startsWith("x")).length, 64);
    assert.match(lines.at(-3) ?? "", /"dropped":36,"msg":"log lines were dropped"/);
    assert.equal(lines.at(-2), "back");
  });
});
