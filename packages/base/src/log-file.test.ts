import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, open, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { OwnLogFile, rotateLogFile } from "./log-file.ts";
import { LogSink } from "./log-sink.ts";

const LIMITS = { maxBytes: 10, maxFiles: 3 };

async function logFile(): Promise<AsyncDisposable & { file: string; read: (suffix: string) => Promise<string> }> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-log-"));
  const file = path.join(dir, "d.log");
  return {
    file,
    read: (suffix) => readFile(`${file}${suffix}`, "utf8"),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

describe("rotateLogFile()", () => {
  it("leaves a short or absent file alone", async () => {
    await using log = await logFile();
    assert.equal(rotateLogFile(log.file, LIMITS), false);
    await writeFile(log.file, "0123456789");
    assert.equal(rotateLogFile(log.file, LIMITS), false);
    assert.equal((await stat(log.file)).size, 10);
  });

  it("sets a long one aside, and a writer that has it open goes on at its start", async () => {
    await using log = await logFile();
    await using writer = await open(log.file, "a");
    for (const line of ["first line\n", "second line\n", "third line\n", "fourth line\n"]) {
      await writer.write(line);
      assert.equal(rotateLogFile(log.file, LIMITS), true);
    }
    await writer.write("new line\n");
    assert.equal(await log.read(".2"), "third line\n");
    assert.equal(await log.read(".1"), "fourth line\n");
    assert.equal(await log.read(""), "new line\n");
    assert.ok(!existsSync(`${log.file}.3`));
  });

  it("empties the file even when it cannot be copied, and says why", async () => {
    await using log = await logFile();
    await writeFile(log.file, "longer than ten");
    await symlink("/dev/full", `${log.file}.tmp`);
    assert.throws(() => rotateLogFile(log.file, LIMITS), { code: "ENOSPC" });
    assert.equal(await log.read(""), "");
    assert.ok(!existsSync(`${log.file}.1`));
  });
});

describe("OwnLogFile", () => {
  it("is not what another descriptor leads to", async () => {
    await using log = await logFile();
    await using other = await open(`${log.file}.other`, "a");
    assert.equal(OwnLogFile.of(other.fd, log.file, LIMITS), undefined);
    await writeFile(log.file, "");
    assert.equal(OwnLogFile.of(other.fd, log.file, LIMITS), undefined);
  });

  it("keeps the log of a sink within its bound, and every line that the bound has room for", async () => {
    await using log = await logFile();
    await using handle = await open(log.file, "a");
    const sink = new LogSink(handle.fd, { file: OwnLogFile.of(handle.fd, log.file, { maxBytes: 100, maxFiles: 3 }) });
    for (let n = 100; n < 200; n++) sink.write(`line ${n}\n`);
    const text = (await log.read(".2")) + (await log.read(".1")) + (await log.read(""));
    for (const suffix of ["", ".1", ".2"]) assert.ok((await stat(`${log.file}${suffix}`)).size <= 109);
    const lines = text.trimEnd().split("\n");
    assert.ok(lines.length > 22, text);
    assert.deepEqual(
      lines,
      Array.from({ length: lines.length }, (_, n) => `line ${200 - lines.length + n}`),
    );
  });

  it("counts what was there before it, and says in the log when the log could not be kept", async () => {
    await using log = await logFile();
    await writeFile(log.file, "x".repeat(500));
    await symlink("/dev/full", `${log.file}.tmp`);
    await using handle = await open(log.file, "a");
    const sink = new LogSink(handle.fd, { file: OwnLogFile.of(handle.fd, log.file, { maxBytes: 500, maxFiles: 3 }) });
    sink.write("after\n");
    assert.match(
      await log.read(""),
      /^\{"level":"warn",.*ENOSPC.*"msg":"the log was cut, its earlier part is not kept"\}\n$/,
    );
  });
});
