import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { lastComplaint } from "./complaint.ts";

async function logFile(): Promise<AsyncDisposable & { file: string }> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-log-"));
  return { file: path.join(dir, "c.log"), [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

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
