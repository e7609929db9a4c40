import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { join as joinCloud } from "@skerry/agent";
import { benchFolder, Cloud, LINK_PORT } from "./cloud.ts";
import { atLeast, noted, percentile, type Row } from "./row.ts";

const ROOT = path.resolve(import.meta.dirname, "..");
const MACHINES = 1_000;
const AT_ONCE = 16;

/** Machines that join with one token: how many a second become nodes, the machines' own work included, which is done in this process. */
export async function join(): Promise<Row[]> {
  await using folder = await benchFolder();
  // A thousand machines have as many disks: their flushes do not queue at the cloud's.
  await using disks = await benchFolder(existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
  // Each node gets a /24 of it.
  const clusterCidr = "10.64.0.0/11";
  await (await Cloud.start(folder.path, { clusterCidr })).stop(); // certificates and compiled code, once
  const cloud = await Cloud.start(folder.path, { clusterCidr });
  const cli = [path.join(ROOT, "bin/skerry.ts"), "token", "create", "--data-dir", folder.path];
  const token = (await promisify(execFile)(process.execPath, cli)).stdout.trim();
  const times: number[] = [];
  let next = 0;
  const machine = async (): Promise<void> => {
    while (next < MACHINES) {
      const nodeName = `machine-${next++}`;
      const began = performance.now();
      await joinCloud({
        server: { host: "127.0.0.1", port: LINK_PORT },
        token,
        nodeName,
        identityFile: path.join(disks.path, `${nodeName}.pem`),
        signal: AbortSignal.timeout(60_000),
      });
      times.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, machine));
  const tookMs = performance.now() - began;
  await cloud.stop();
  return [
    atLeast(`edges joined, ${AT_ONCE} at once, certificates included`, (MACHINES / tookMs) * 1000, "/s", 200),
    noted("a join among them, p99", percentile(times, 0.99), "ms"),
  ];
}
