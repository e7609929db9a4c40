import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { readPidFile, startTimeOf } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import { GrpcClient } from "../runtime/cri/grpc-client.ts";
import { sessionLauncher } from "./launcher.ts";
import { containerdPaths } from "./paths.ts";
import { ContainerdSupervisor } from "./supervisor.ts";

/** Has a child with its own name and arguments, and tells its process id. */
const PARENT = `
const { spawn } = require("node:child_process");
const child = spawn(process.execPath, ["-e", "process.stdin.resume()", "--", ...process.argv.slice(1)], {
  argv0: "containerd",
  stdio: ["pipe", "ignore", "ignore"],
});
console.log(child.pid);
setInterval(() => {}, 1_000_000);
`;

describe("ContainerdSupervisor", () => {
  it("spares a child of containerd that is not another program yet", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "skerry-supervisor-"));
    const paths = containerdPaths({ instance: "a", dataDir: dir, runDir: path.join(dir, "run"), logDir: dir });
    for (const file of [paths.configFile, paths.pidFile]) await mkdir(path.dirname(file), { recursive: true });
    await writeFile(paths.configFile, "");
    const running = spawn(process.execPath, ["-e", PARENT, "--", "--config", paths.configFile], {
      argv0: "containerd",
      stdio: ["ignore", "pipe", "inherit"],
      env: {},
    });
    const ended = once(running, "exit");
    try {
      const [line] = (await once(running.stdout, "data")) as [Buffer];
      const child = Number(line.toString());
      await eventually(() => startTimeOf(child));
      await using client = new GrpcClient({ socketPath: paths.socket });
      {
        await using supervisor = new ContainerdSupervisor({
          paths,
          client,
          launch: async () => ({ binary: "/nowhere", config: "" }),
          launcher: sessionLauncher("skerry-none"),
        });
        supervisor.start();
        await eventually(async () => (await readPidFile(paths.pidFile))?.pid === running.pid);
      }
      assert.notEqual(await startTimeOf(child), undefined, "the child lives");
    } finally {
      running.kill("SIGKILL");
      await ended;
      await rm(dir, { recursive: true, force: true });
    }
  });

  it("ends containerd where no pid file can be written", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), "skerry-supervisor-"));
    const paths = containerdPaths({ instance: "a", dataDir: dir, runDir: path.join(dir, "run"), logDir: dir });
    const running = spawn(
      process.execPath,
      ["-e", "setInterval(() => {}, 1_000_000)", "--", "--config", paths.configFile],
      {
        argv0: "containerd",
        stdio: "ignore",
        env: {},
      },
    );
    const ended = once(running, "exit");
    try {
      await using client = new GrpcClient({ socketPath: paths.socket });
      await using supervisor = new ContainerdSupervisor({
        paths,
        client,
        launch: async () => ({ binary: "/nowhere", config: "" }),
        launcher: sessionLauncher("skerry-none"),
      });
      await eventually(() => supervisor.isRunning());
      assert.ok(!existsSync(path.dirname(paths.pidFile)), "there is no folder for a pid file");
      await supervisor.shutdown();
      assert.deepEqual(await ended, [null, "SIGTERM"]);
    } finally {
      running.kill("SIGKILL");
      await ended;
      await rm(dir, { recursive: true, force: true });
    }
  });
});
