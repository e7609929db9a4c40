import { fork } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import path from "node:path";
import { Load } from "./load.ts";
import { noted, percentile, type Row } from "./row.ts";
import type { Access } from "../packages/cli/src/instance/kubeconfig.ts";

const CHILD = path.join(import.meta.dirname, "machine.child.ts");
const BODY = { text: "x".repeat(700) };

/**
 * What this machine can do at all, right beside the figures that it bounds: Node's HTTPS server that does nothing, and flushes of a
 * file that do not make it longer.
 */
export async function machine(folder: string, access: Access): Promise<Row[]> {
  const child = fork(CHILD);
  child.send({ cert: access.certificate, key: access.key });
  const [port] = (await once(child, "message")) as [number];
  const load = new Load(access, port, false);
  const single: number[] = [];
  for (let i = 0; i < 1_000; i++) single.push(await load.timed("POST", "/", BODY, 201));
  const started = performance.now();
  const many = await load.parallel(32, 5_000, () => load.timed("POST", "/", BODY, 201));
  const perSecond = (many.length / (performance.now() - started)) * 1000;
  load.close();
  child.kill();
  const flushes = await flushTimes(path.join(folder, "flushes"));
  return [
    noted("this machine: bare HTTPS, one client, p50", percentile(single, 0.5), "ms"),
    noted("this machine: bare HTTPS, 32 clients", perSecond, "/s"),
    noted("this machine: bare HTTPS, 32 clients, p99", percentile(many, 0.99), "ms"),
    noted("this machine: flush of 12 KiB, p50", percentile(flushes, 0.5), "ms"),
    noted("this machine: flush of 12 KiB, p99", percentile(flushes, 0.99), "ms"),
  ];
}

async function flushTimes(name: string): Promise<number[]> {
  await using file = await open(name, "w");
  const page = Buffer.alloc(12 << 10, 1);
  for (let i = 0; i < 100; i++) await file.write(page, 0, page.length, i * page.length);
  await file.sync();
  const times: number[] = [];
  for (let i = 0; i < 500; i++) {
    const began = performance.now();
    await file.write(page, 0, page.length, (i % 100) * page.length);
    await file.datasync();
    times.push(performance.now() - began);
  }
  return times;
}
