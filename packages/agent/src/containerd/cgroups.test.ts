import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { cgroupSetup, moveToOwnCgroup, removeCgroupTree, removeSlice } from "./cgroups.ts";

async function folder(files: readonly string[]): Promise<AsyncDisposable & { path: string }> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-cgroup-"));
  for (const file of files) {
    await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
    await writeFile(path.join(dir, file), "");
  }
  return { path: dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

describe("cgroupSetup()", () => {
  it("leaves the tree to systemd only where systemd runs and the tree is one", async () => {
    await using v1 = await folder(["memory/cgroup.procs", "unified/cgroup.procs"]);
    await using v2 = await folder(["cgroup.controllers"]);
    const nowhere = path.join(v1.path, "absent");
    assert.deepEqual(await cgroupSetup(v1.path, v2.path), { version: 1, driver: "cgroupfs" });
    assert.deepEqual(await cgroupSetup(v2.path, v1.path), { version: 2, driver: "systemd" });
    assert.deepEqual(await cgroupSetup(v2.path, nowhere), { version: 2, driver: "cgroupfs" });
  });
});

describe("moveToOwnCgroup()", () => {
  it("moves a process in each hierarchy that a service is stopped or killed by", async () => {
    await using v1 = await folder(["memory/cgroup.procs", "cpu/cgroup.procs", "systemd/cgroup.procs"]);
    const moved = await moveToOwnCgroup(42, "x", v1.path);
    assert.deepEqual(moved, [path.join(v1.path, "memory/x"), path.join(v1.path, "systemd/x")]);
    assert.equal(await readFile(path.join(v1.path, "memory/x/cgroup.procs"), "utf8"), "42");
  });
});

describe("removeCgroupTree()", () => {
  it("removes a tree in every hierarchy, and is content where there is none", async () => {
    await using v1 = await folder(["memory/cgroup.procs", "cpu/cgroup.procs"]);
    await mkdir(path.join(v1.path, "memory/x/pod1/container"), { recursive: true });
    await removeCgroupTree("x", v1.path);
    assert.ok(!existsSync(path.join(v1.path, "memory/x")));
    assert.ok(existsSync(path.join(v1.path, "memory")));
  });
});

describe("removeSlice()", () => {
  const signal = new AbortController().signal;

  it("ends the slice, and forgets the limits that were set on it and on those below, and no other", async () => {
    const others = ["skerrya.service.d", "skerrya2-podx.slice.d", "skerryb-podx.slice.d"];
    const own = ["skerrya.slice.d", "skerrya-podx.slice.d", "skerrya-pody.slice.d"];
    await using control = await folder([...own, ...others].map((name) => `${name}/50-MemoryMax.conf`));
    const calls: string[] = [];
    const run = async (command: string, args: readonly string[]): Promise<string> => {
      calls.push([command, ...args].join(" "));
      return "";
    };
    await removeSlice("skerrya-podx", { signal, run, controlDir: control.path });
    assert.deepEqual((await readdir(control.path)).toSorted(), [...own.toSpliced(1, 1), ...others].toSorted());
    await removeSlice("skerrya", { signal, run, controlDir: control.path });
    assert.deepEqual((await readdir(control.path)).toSorted(), others.toSorted());
    assert.deepEqual(calls, ["systemctl stop skerrya-podx.slice", "systemctl stop skerrya.slice"]);
  });

  it("is content where no limit was ever set", async () => {
    await using control = await folder([]);
    await removeSlice("skerrya", { signal, run: async () => "", controlDir: path.join(control.path, "absent") });
  });
});
