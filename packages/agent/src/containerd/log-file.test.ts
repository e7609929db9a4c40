import assert from "node:assert/strict";
import { appendFile, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { lastComplaint, rotateLogFile } from "./log-file.ts";

async function logFile(): Promise<AsyncDisposable & { file: string }> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-log-"));
  return { file: path.join(dir, "c.log"), [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

describe("rotateLogFile()", () => {
  it("leaves a short or absent file alone", async () => {
    await using dir = await logFile();
    assert.equal(await rotateLogFile(dir.file, 10), false);
    await writeFile(dir.file, "0123456789");
    assert.equal(await rotateLogFile(dir.file, 10), false);
    assert.equal((await stat(dir.file)).size, 10);
  });

  it("sets a long one aside, and a writer that has it open goes on at its start", async () => {
    await using dir = await logFile();
    await using writer = await open(dir.file, "a");
    await writer.write("old line\n");
    assert.equal(await rotateLogFile(dir.file, 5), true);
    await writer.write("new line\n");
    assert.equal(await readFile(`${dir.file}.1`, "utf8"), "old line\n");
    assert.equal(await readFile(dir.file, "utf8"), "new line\n");
  });
});

describe("lastComplaint()", () => {
  it("finds the last error and its reason behind lines of less weight", async () => {
    await using dir = await logFile();
    assert.equal(await lastComplaint(dir.file), "");
    await appendFile(
      dir.file,
      [
        `time="t" level=error msg="failed to load" error="first"`,
        `time="t" level=fatal msg="failed to load \\"x\\"" error="no space left on device"`,
        `time="t" level=info msg="bye"`,
        "",
      ].join("\n"),
    );
    assert.equal(await lastComplaint(dir.file), 'failed to load "x": no space left on device');
  });

  it("finds a line about one subject, whatever its level", async () => {
    await using dir = await logFile();
    await appendFile(
      dir.file,
      [
        `level=warning msg="failed to load plugin cri" error="no runtime"`,
        `level=warning msg="failed to load plugin zfs" error="no zfs"`,
        `level=info msg="serving" plugin=cri`,
      ].join("\n"),
    );
    assert.equal(await lastComplaint(dir.file, "plugin cri"), "failed to load plugin cri: no runtime");
  });

  it("gives the last line as it is when nothing is an error", async () => {
    await using dir = await logFile();
    await appendFile(dir.file, "containerd: invalid config\n");
    assert.equal(await lastComplaint(dir.file), "containerd: invalid config");
  });
});
