import assert from "node:assert/strict";
import { once } from "node:events";
import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import type { ConfigMap, Pod, Secret, Volume } from "@skerry/machinery/types";
import { podDir, podPaths, volumeDir } from "../pods/paths.ts";
import { mountPoints, noMounts, type Mounts } from "./mounts.ts";
import { writeProjection } from "./projection.ts";
import { bindSubPath } from "./sub-path.ts";
import { setUpVolumes, tearDownVolumes, VolumeError } from "./volumes.ts";

class Folder implements AsyncDisposable {
  readonly path: string;
  constructor(folder: string) {
    this.path = folder;
  }
  static async create(): Promise<Folder> {
    return new Folder(await mkdtemp(path.join(tmpdir(), "skerry-volumes-")));
  }
  at(...parts: string[]): string {
    return path.join(this.path, ...parts);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

const never = new AbortController().signal;
const file = (text: string, mode = 0o644) => ({ bytes: Buffer.from(text), mode });

const podOf = (...volumes: Volume[]): Pod => ({
  metadata: { namespace: "default", name: "web", uid: "u1", labels: { b: "2", a: "1" } },
  spec: { containers: [{ name: "main" }], volumes },
});

function contextOf(
  folder: Folder,
  objects: { configMaps?: Record<string, ConfigMap>; secrets?: Record<string, Secret> } = {},
) {
  return {
    paths: podPaths(folder.path),
    mounts: noMounts,
    source: {
      configMap: (_namespace: string, name: string) => objects.configMaps?.[name],
      secret: (_namespace: string, name: string) => objects.secrets?.[name],
    },
    facts: {
      nodeName: "n1",
      podIps: [],
      hostIps: ["192.0.2.1"],
      allocatable: { cpuMillis: 2000, memoryBytes: 2 ** 30, storageBytes: 2 ** 33 },
    },
  };
}

describe("writeProjection()", () => {
  it("shows files through links that one rename switches, and writes nothing when nothing changed", async () => {
    await using folder = await Folder.create();
    const volume = folder.at("v");
    assert.equal(
      await writeProjection(
        volume,
        new Map([
          ["a", file("1", 0o640)],
          ["d/b", file("2")],
        ]),
      ),
      true,
    );
    assert.equal(await readFile(path.join(volume, "a"), "utf8"), "1");
    assert.equal(await readFile(path.join(volume, "d/b"), "utf8"), "2");
    assert.equal((await stat(path.join(volume, "a"))).mode & 0o777, 0o640);
    assert.equal(await readlink(path.join(volume, "a")), "..data/a");
    const before = await readlink(path.join(volume, "..data"));
    assert.equal(
      await writeProjection(
        volume,
        new Map([
          ["a", file("1", 0o640)],
          ["d/b", file("2")],
        ]),
      ),
      false,
    );
    assert.equal(await readlink(path.join(volume, "..data")), before);

    assert.equal(await writeProjection(volume, new Map([["a", file("1+")]])), true);
    assert.equal(await readFile(path.join(volume, "a"), "utf8"), "1+");
    assert.deepEqual(
      (await readdir(volume)).toSorted(),
      [await readlink(path.join(volume, "..data")), "..data", "a"].toSorted(),
    );
  });

  it("refuses names that leave the volume", async () => {
    await using folder = await Folder.create();
    for (const name of ["../x", "/x", "a/../../x", "..x", "a//b", ""]) {
      await assert.rejects(writeProjection(folder.at("v"), new Map([[name, file("x")]])), RangeError, name);
    }
  });

  it("goes on from a write that was cut short", async () => {
    await using folder = await Folder.create();
    const volume = folder.at("v");
    await mkdir(path.join(volume, "..2025_half"), { recursive: true });
    await symlink("..2025_half", path.join(volume, "..data_tmp"));
    await writeProjection(volume, new Map([["a", file("1")]]));
    assert.equal(await readFile(path.join(volume, "a"), "utf8"), "1");
    assert.equal((await readdir(volume)).length, 3);
  });
});

describe("setUpVolumes()", () => {
  it("projects keys, items, modes and pod fields", async () => {
    await using folder = await Folder.create();
    const context = contextOf(folder, {
      configMaps: {
        c: { metadata: {}, data: { x: "X", y: "Y" }, binaryData: { z: Buffer.from("Z").toString("base64") } },
      },
      secrets: { s: { metadata: {}, data: { key: Buffer.from("open").toString("base64") } } },
    });
    const pod = podOf(
      { name: "all", configMap: { name: "c" } },
      { name: "some", configMap: { name: "c", items: [{ key: "x", path: "deep/x", mode: 0o400 }] } },
      { name: "keys", secret: { secretName: "s", defaultMode: 0o400 } },
      { name: "gone", configMap: { name: "missing", optional: true } },
      { name: "pod", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
    );
    await setUpVolumes(pod, context, never);
    const at = (kind: string, name: string, inside: string): string =>
      path.join(volumeDir(context.paths, "u1", kind, name), inside);
    assert.equal(await readFile(at("configMap", "all", "y"), "utf8"), "Y");
    assert.equal(await readFile(at("configMap", "all", "z"), "utf8"), "Z");
    assert.equal(await readFile(at("configMap", "some", "deep/x"), "utf8"), "X");
    assert.equal((await stat(at("configMap", "some", "deep/x"))).mode & 0o777, 0o400);
    assert.equal(await readFile(at("secret", "keys", "key"), "utf8"), "open");
    assert.deepEqual(
      (await readdir(at("configMap", "gone", "."))).filter((name) => !name.startsWith("..")),
      [],
    );
    assert.equal(await readFile(at("downwardAPI", "pod", "labels"), "utf8"), 'a="1"\nb="2"');
    await tearDownVolumes("u1", context.paths, noMounts, never);
    await assert.rejects(lstat(podDir(context.paths, "u1")));
  });

  it("leaves what containers mount inside of a ConfigMap in its place when that changes", async () => {
    await using folder = await Folder.create();
    const configMap: ConfigMap = { metadata: {}, data: { key: "1", over: "1" } };
    const context = contextOf(folder, { configMaps: { c: configMap } });
    const pod = podOf({ name: "conf", configMap: { name: "c" } }, { name: "cache", emptyDir: {} });
    pod.spec!.containers[0]!.volumeMounts = [
      { name: "conf", mountPath: "/conf" },
      { name: "cache", mountPath: "/conf/made/deep" },
      { name: "cache", mountPath: "/conf/late" },
      { name: "cache", mountPath: "/conf2" },
    ];
    await setUpVolumes(pod, context, never);
    const volume = volumeDir(context.paths, "u1", "configMap", "conf");
    const at = (name: string): string => path.join(volume, name);
    for (const name of ["made/deep", "late", "strange"]) await mkdir(at(name), { recursive: true });
    const before = await stat(at("made/deep"));

    configMap.data = { key: "2", late: "a key of the same name" };
    await setUpVolumes(pod, context, never);
    assert.equal(await readFile(at("key"), "utf8"), "2");
    assert.equal((await stat(at("made/deep"))).ino, before.ino);
    assert.ok((await lstat(at("late"))).isDirectory());
    assert.deepEqual((await readdir(volume)).filter((name) => !name.startsWith("..")).toSorted(), [
      "key",
      "late",
      "made",
    ]);
  });

  it("leaves what containers wrote to an emptyDir alone when it is set up again", async () => {
    await using folder = await Folder.create();
    const context = contextOf(folder);
    const pod = podOf({ name: "cache", emptyDir: {} });
    await setUpVolumes(pod, context, never);
    const volume = volumeDir(context.paths, "u1", "emptyDir", "cache");
    assert.equal((await stat(volume)).mode & 0o777, 0o777);
    await writeFile(path.join(volume, "kept"), "x");
    await setUpVolumes(pod, context, never);
    assert.equal(await readFile(path.join(volume, "kept"), "utf8"), "x");
  });

  it("says which volume failed and why", async () => {
    await using folder = await Folder.create();
    const table: [Volume, RegExp][] = [
      [{ name: "v", configMap: { name: "c" } }, /^MountVolume\.SetUp failed for volume "v" : configmap "c" not found$/],
      [{ name: "v", secret: { secretName: "s" } }, /secret "s" not found$/],
      [{ name: "v", hostPath: { path: folder.at("none"), type: "Directory" } }, /is not a directory$/],
      [{ name: "v", hostPath: { path: folder.at("none"), type: "Socket" } }, /is not a socket file$/],
    ];
    for (const [volume, message] of table) {
      await assert.rejects(setUpVolumes(podOf(volume), contextOf(folder), never), (error: Error) => {
        assert.ok(error instanceof VolumeError);
        assert.match(error.message, message);
        return true;
      });
    }
  });

  it("makes what a hostPath type says is to be made", async () => {
    await using folder = await Folder.create();
    const pod = podOf(
      { name: "d", hostPath: { path: folder.at("made/dir"), type: "DirectoryOrCreate" } },
      { name: "f", hostPath: { path: folder.at("file"), type: "FileOrCreate" } },
    );
    await setUpVolumes(pod, contextOf(folder), never);
    assert.ok((await stat(folder.at("made/dir"))).isDirectory());
    assert.ok((await stat(folder.at("file"))).isFile());
  });
});

describe("tearDownVolumes()", () => {
  it("removes nothing while something is still mounted", async () => {
    await using folder = await Folder.create();
    const paths = podPaths(folder.path);
    const inside = path.join(podDir(paths, "u1"), "volumes");
    await mkdir(inside, { recursive: true });
    const stuck: Mounts = { ...noMounts, below: async () => [inside] };
    await assert.rejects(tearDownVolumes("u1", paths, stuck, never), /is still mounted/);
    assert.ok((await stat(inside)).isDirectory());
  });

  it("does not follow links out of the pod's folder", async () => {
    await using folder = await Folder.create();
    const paths = podPaths(folder.path);
    await mkdir(folder.at("outside"));
    await writeFile(folder.at("outside/file"), "x");
    await mkdir(podDir(paths, "u1"), { recursive: true });
    await symlink(folder.at("outside"), path.join(podDir(paths, "u1"), "link"));
    await tearDownVolumes("u1", paths, noMounts, never);
    assert.equal(await readFile(folder.at("outside/file"), "utf8"), "x");
  });
});

describe("bindSubPath()", () => {
  it("binds what lies in the volume and refuses what leads out of it", async () => {
    await using folder = await Folder.create();
    const bound: string[] = [];
    const mounts: Mounts = {
      ...noMounts,
      bind: async (source) => void bound.push(await readlink(source)),
    };
    await mkdir(folder.at("volume/inner"), { recursive: true });
    await mkdir(folder.at("outside"));
    await symlink("inner", folder.at("volume/link"));
    await symlink(folder.at("outside"), folder.at("volume/escape"));
    const bind = (subPath: string) =>
      bindSubPath({ volumePath: folder.at("volume"), subPath, target: folder.at("target") }, mounts, never);
    await bind("link");
    await bind("made/new");
    assert.deepEqual(bound, [folder.at("volume/inner"), folder.at("volume/made/new")]);
    for (const subPath of ["escape", "escape/x", "escape/x/y"])
      await assert.rejects(bind(subPath), /leads out of the volume/, subPath);
    assert.deepEqual(await readdir(folder.at("outside")), []);
  });
});

/** Swaps `folder` for a link to `outside` and back, again and again, on a thread of its own. */
const SWAPPER = `
  const { renameSync, symlinkSync, unlinkSync } = require("node:fs");
  const { folder, outside, stop } = require("node:worker_threads").workerData;
  const attempt = (act) => { try { act(); } catch {} };
  for (let n = 0; Atomics.load(stop, 0) === 0; n++) {
    attempt(() => renameSync(folder, folder + ".aside"));
    attempt(() => symlinkSync(outside, folder));
    attempt(() => unlinkSync(folder));
    // While it was away another may have been made in its place.
    attempt(() => renameSync(folder, folder + "." + n));
    attempt(() => renameSync(folder + ".aside", folder));
  }
`;

describe("bindSubPath() beside a container that swaps folders for links", () => {
  it("neither makes nor binds anything outside the volume", async () => {
    await using folder = await Folder.create();
    const bound: string[] = [];
    const mounts: Mounts = {
      ...noMounts,
      bind: async (source) => void bound.push(await readlink(source)),
    };
    const volumePath = folder.at("volume");
    await mkdir(folder.at("volume/d/kept"), { recursive: true });
    await mkdir(folder.at("outside/kept"), { recursive: true });
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { folder: folder.at("volume/d"), outside: folder.at("outside"), stop };
    const swapper = new Worker(SWAPPER, { eval: true, workerData });
    const ended = once(swapper, "exit");
    try {
      for (let i = 0; i < 400; i++) {
        const subPath = i % 2 === 0 ? "d/kept" : `d/new/${i}`;
        // Refused when it is a link just then, or not there.
        await bindSubPath({ volumePath, subPath, target: folder.at("target") }, mounts, never).catch(() => {});
      }
    } finally {
      Atomics.store(stop, 0, 1);
      await ended;
    }
    assert.deepEqual(await readdir(folder.at("outside"), { recursive: true }), ["kept"]);
    assert.ok(bound.length > 0);
    assert.deepEqual(
      bound.filter((place) => !place.startsWith(`${volumePath}/`)),
      [],
    );
  });
});

describe("mountPoints()", () => {
  it("reads escaped names", () => {
    const text = "36 35 98:0 / /mnt/with\\040space rw - ext4 /dev/root rw\n37 35 98:0 / /b rw - tmpfs none rw\n";
    assert.deepEqual(mountPoints(text), ["/mnt/with space", "/b"]);
  });
});
