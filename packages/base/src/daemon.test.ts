import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { readPidFile, startDaemon, stopDaemon, waitForExit } from "./daemon.ts";
import { eventually } from "./testing.ts";

async function folder(): Promise<AsyncDisposable & { path: string }> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-daemon-"));
  return { path: dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

describe("startDaemon()", () => {
  it("leaves a process in a session of its own, known by its pid file, until stopDaemon() ends it", async () => {
    await using dir = await folder();
    const pidFile = path.join(dir.path, "run", "d.pid");
    const logFile = path.join(dir.path, "log", "d.log");
    const id = await startDaemon({
      command: "/bin/sh",
      args: ["-c", "echo ready; exec sleep 60"],
      logFile,
      pidFile,
    });
    await eventually(async () => (await readFile(logFile, "utf8")) === "ready\n");
    assert.deepEqual(await readPidFile(pidFile), id);
    const session = (await readFile(`/proc/${id.pid}/stat`, "utf8")).split(") ")[1]?.split(" ")[3];
    assert.equal(session, String(id.pid));

    assert.equal(await stopDaemon(pidFile), true);
    assert.equal(await waitForExit(id, { timeoutMs: 0 }), true);
    assert.equal(await stopDaemon(pidFile), false);
  });

  it("kills what does not end by itself", async () => {
    await using dir = await folder();
    const pidFile = path.join(dir.path, "d.pid");
    const logFile = path.join(dir.path, "d.log");
    const id = await startDaemon({
      command: "/bin/sh",
      args: ["-c", "trap '' TERM; echo ready; while :; do read x <&1 || :; done"],
      logFile,
      pidFile,
    });
    await eventually(async () => (await readFile(logFile, "utf8")).includes("ready"));
    await stopDaemon(pidFile, { graceMs: 50 });
    assert.equal(await waitForExit(id, { timeoutMs: 0 }), true);
  });

  it("ends what it started when it cannot write down which process that is", async () => {
    await using dir = await folder();
    const pidFile = path.join(dir.path, "d.pid");
    await mkdir(pidFile);
    const logFile = path.join(dir.path, "d.log");
    const start = startDaemon({ command: "/usr/bin/tail", args: ["-f", logFile], logFile, pidFile });
    await assert.rejects(start, { code: "EISDIR" });
    const isThere = async (): Promise<boolean> => {
      const lines = await Promise.all(
        (await readdir("/proc"))
          .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
          .map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
      );
      return lines.some((line) => line.includes(logFile));
    };
    await eventually(async () => !(await isThere()));
  });

  it("says when the executable is missing, and writes no pid file", async () => {
    await using dir = await folder();
    const pidFile = path.join(dir.path, "d.pid");
    const start = startDaemon({
      command: path.join(dir.path, "absent"),
      args: [],
      logFile: path.join(dir.path, "d.log"),
      pidFile,
    });
    await assert.rejects(start, { code: "ENOENT" });
    assert.equal(await readPidFile(pidFile), undefined);
  });
});

describe("readPidFile()", () => {
  it("does not take a recycled pid for the daemon", async () => {
    await using dir = await folder();
    const file = path.join(dir.path, "d.pid");
    await writeFile(file, `${process.pid} 1\n`);
    assert.equal(await readPidFile(file), undefined);
  });

  it("takes rubbish for no daemon", async () => {
    await using dir = await folder();
    const file = path.join(dir.path, "d.pid");
    await writeFile(file, "x");
    assert.equal(await readPidFile(file), undefined);
  });
});
