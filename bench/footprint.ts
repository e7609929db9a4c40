import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { Machine } from "../test/system/machine.ts";
import { atMost, noted, type Row } from "./row.ts";
import { TEN_PODS } from "./ten-pods.ts";

const MINUTE_MS = 60_000;
const MINUTES_A_DAY = 1440;

/** What an edge with ten idle pods takes of its device: memory now, and disk and link over a minute, extrapolated to a day. */
export async function footprint(): Promise<Row[]> {
  await using machine = await Machine.create();
  await machine.skerry("up", "--no-sample");
  // The second start has the code cache of the first, as every one but a device's very first has.
  await machine.skerry("edge", "stop");
  await machine.skerry("edge", "start");
  const applied = await machine.kubectlOutcome(["apply", "-f", "-"], { input: JSON.stringify(TEN_PODS) });
  if (applied.code !== 0) throw new Error(applied.stderr);
  await machine.kubectl("rollout", "status", "deployment/ten", "--timeout=120s");
  await setTimeout(MINUTE_MS / 2); // what the start wrote and collected is over

  const agent = Number((await readFile(path.join(machine.dataDir, "run/edge.pid"), "utf8")).split(/\s/)[0]);
  const beside = await containerdAndShims(machine.dataDir);
  const pss = async (pid: number): Promise<number> => (await memoryOf(pid, "smaps_rollup", "Pss")) / 1e6;
  const shims = await Promise.all(beside.shims.map(pss));
  const [agentPss, containerdPss] = [await pss(agent), await pss(beside.containerd)];
  const rss = await memoryOf(agent, "status", "VmRSS");

  const before = [await written(agent), await written(beside.containerd), await loopback(machine)] as const;
  await setTimeout(MINUTE_MS);
  const after = [await written(agent), await written(beside.containerd), await loopback(machine)] as const;
  const day = (index: 0 | 1 | 2): number => ((after[index] - before[index]) * MINUTES_A_DAY) / 1e6;
  const sum = shims.reduce((all, one) => all + one, 0);
  return [
    atMost("agent: RSS with 10 pods", rss / 1e6, "MB", 70),
    atMost("whole edge: PSS of agent, containerd and shims, 10 pods", agentPss + containerdPss + sum, "MB", 140),
    noted("  agent's PSS (the cloud beside it shares Node's file)", agentPss, "MB"),
    noted("  containerd's PSS", containerdPss, "MB"),
    noted(`  PSS of each of ${shims.length} shims`, sum / shims.length, "MB"),
    atMost("disk writes of an idle edge, from one minute", day(0) + day(1), "MB a day", 5),
    noted("IP bytes on loopback with cloud and edge idle, from one minute", day(2), "MB a day"),
  ];
}

/** Containerd by its config in the instance's folder, shims by its socket there. */
async function containerdAndShims(dataDir: string): Promise<{ containerd: number; shims: number[] }> {
  const found = { containerd: 0, shims: [] as number[] };
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await readFile(path.join("/proc", name, "cmdline"), "utf8").catch(() => ""); // it ended
    if (!command.includes(`${dataDir}/`)) continue;
    const [program = ""] = command.split("\0");
    if (path.basename(program) === "containerd") found.containerd = Number(name);
    else if (path.basename(program).startsWith("containerd-shim")) found.shims.push(Number(name));
  }
  return found;
}

/** Bytes that a process has had written to disks (proc(5), io: write_bytes). */
const written = async (pid: number): Promise<number> =>
  Number(/^write_bytes: (\d+)/m.exec(await readFile(path.join("/proc", String(pid), "io"), "utf8"))?.[1]);

/** Bytes that have crossed the loopback of the machine: the link, both ways, and nothing else while nobody asks the API. */
async function loopback(machine: Machine): Promise<number> {
  const { stdout } = await machine.exec("ip", ["-json", "-s", "link", "show", "lo"]);
  const [{ stats64 }] = JSON.parse(stdout) as [{ stats64: { rx: { bytes: number } } }];
  return stats64.rx.bytes;
}

/** A figure in kB of a file in /proc/PID, as bytes (proc(5)). */
async function memoryOf(pid: number, file: "status" | "smaps_rollup", field: "VmRSS" | "Pss"): Promise<number> {
  const text = await readFile(path.join("/proc", String(pid), file), "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1]) * 1024;
}
