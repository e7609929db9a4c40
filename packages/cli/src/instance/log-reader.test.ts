import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, it } from "node:test";
import { rotateLogFile, startDaemon, startTimeOf, stopDaemon } from "@skerry/base";
import { LogReader } from "./log-reader.ts";

const WRITER = fileURLToPath(new URL("log-writer.child.ts", import.meta.url));
const LIMITS = { maxBytes: 10, maxFiles: 3 };

async function folder(): Promise<AsyncDisposable & { file: string; pidFile: string }> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-logs-"));
  return {
    file: path.join(dir, "edge.log"),
    pidFile: path.join(dir, "edge.pid"),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
}

async function textOf(blocks: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const block of blocks) all.push(block);
  return Buffer.concat(all).toString();
}

describe("LogReader", () => {
  it("begins with a whole line, in an older part when the log is short", async () => {
    await using dir = await folder();
    await writeFile(dir.file, "first line\nsecond line\n");
    rotateLogFile(dir.file, LIMITS);
    await appendFile(dir.file, "third\n");
    assert.equal(await textOf(new LogReader(dir.file).tail(4)), "");
    assert.equal(await textOf(new LogReader(dir.file).tail(6)), "third\n");
    assert.equal(await textOf(new LogReader(dir.file).tail(10)), "third\n");
    assert.equal(await textOf(new LogReader(dir.file).tail(20)), "second line\nthird\n");
    assert.equal(await textOf(new LogReader(dir.file).tail(1000)), "first line\nsecond line\nthird\n");
  });

  it("shows what was set aside between two looks, though the log has grown beyond where it was", async () => {
    await using dir = await folder();
    await writeFile(dir.file, "one\n");
    const reader = new LogReader(dir.file);
    assert.equal(await textOf(reader.tail(1000)), "one\n");
    for (const line of ["two is long\n", "three is long\n"]) {
      await appendFile(dir.file, line);
      rotateLogFile(dir.file, LIMITS);
    }
    await appendFile(dir.file, "four four\n");
    assert.equal(await textOf(reader.more()), "two is long\nthree is long\nfour four\n");
    assert.equal(await textOf(reader.more()), "");
  });

  it("begins anew when somebody else has emptied the log", async () => {
    await using dir = await folder();
    await writeFile(dir.file, "a longer one\n");
    const reader = new LogReader(dir.file);
    await textOf(reader.tail(1000));
    await truncate(dir.file);
    await appendFile(dir.file, "two\n");
    assert.equal(await textOf(reader.more()), "two\n");
  });

  it("shows each line once, in order, of a daemon that logs and rotates meanwhile", async () => {
    await using dir = await folder();
    // As much as all its files hold, so that a reader that comes late misses nothing either.
    const lines = 20_000;
    const maxBytes = 500 << 10;
    await writeFile(dir.file, "");
    const reader = new LogReader(dir.file);
    let text = await textOf(reader.tail(1000));
    const args = [WRITER, dir.file, String(lines), String(maxBytes)];
    const id = await startDaemon({ command: process.execPath, args, logFile: dir.file, pidFile: dir.pidFile });
    try {
      for (let lives = true; lives;) {
        lives = (await startTimeOf(id.pid)) === id.startTime;
        text += await textOf(reader.more());
        await setImmediate();
      }
    } finally {
      await stopDaemon(dir.pidFile);
    }
    const numbers = text
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { n: number }).n);
    assert.deepEqual(
      numbers,
      Array.from({ length: lines }, (_, n) => n),
    );
    assert.ok((await stat(`${dir.file}.2`)).size > maxBytes, "it was rotated more than once");
  });
});
