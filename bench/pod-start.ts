import { once } from "node:events";
import { existsSync } from "node:fs";
import http, { type IncomingMessage } from "node:http";
import { connect } from "node:net";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { text } from "node:stream/consumers";
import type { AgentStatus } from "@skerry/agent";
import { readPidFile } from "@skerry/base";
import { Machine } from "../test/system/machine.ts";
import { RebootableMachine } from "../test/system/rebootable-machine.ts";
import { kubectlPath } from "../tools/kubectl/kubectl.ts";
import { runtimeAlone } from "./runtime-alone.ts";
import { TEN_PODS } from "./ten-pods.ts";
import { atMost, noted, percentile, type Row } from "./row.ts";

const CHILD = path.join(import.meta.dirname, "pod-start.child.ts");
const PODS = 30;

/** A real instance in a network namespace of its own: how soon a pod with a local image runs. */
export async function podStart(): Promise<Row[]> {
  await using machine = await Machine.create();
  await machine.skerry("up", "--no-sample");
  const kubeconfig = path.join(machine.dataDir, "etc/kubeconfig");
  const { code, stdout, stderr } = await machine.exec(process.execPath, [
    CHILD,
    kubectlPath("1.35"),
    kubeconfig,
    String(PODS),
  ]);
  if (code !== 0) throw new Error(`Starting pods failed: ${stderr}`);
  const { byKubectl, byPost, itself } = JSON.parse(stdout) as Record<"byKubectl" | "byPost" | "itself", number[]>;
  const returnedMs = await killContainerd(machine);
  await machine.skerry("edge", "stop");
  const alone = await runtimeAlone(machine, PODS);
  return [
    atMost("pod: exec of kubectl apply → Running, p50", percentile(byKubectl, 0.5), "ms", 300),
    atMost("pod: exec of kubectl apply → Running, p99", percentile(byKubectl, 0.99), "ms", 1000),
    noted("kubectl itself (get --raw /readyz), p50", percentile(itself, 0.5), "ms"),
    atMost("pod: POST → Running, p50", percentile(byPost, 0.5), "ms", 200),
    noted("pod: POST → Running, p99", percentile(byPost, 0.99), "ms"),
    noted("this machine: containerd alone, sandbox to started, p50", percentile(alone, 0.5), "ms"),
    atMost("kill -9 of containerd → it serves again", returnedMs / 1000, "s", 2),
    ...(await reboot()),
  ];
}

/** How long it takes after containerd was killed until another answers at its socket, in milliseconds. */
async function killContainerd(machine: Machine): Promise<number> {
  const run = path.join(machine.dataDir, "run/containerd");
  const old = await readPidFile(path.join(run, "containerd.pid"));
  if (!old) throw new Error("containerd does not run");
  process.kill(old.pid, "SIGKILL");
  const killed = performance.now();
  await until(async () => {
    const now = await readPidFile(path.join(run, "containerd.pid"));
    return now !== undefined && now.pid !== old.pid && (await answers(path.join(run, "containerd.sock")));
  }, "another containerd to answer");
  return performance.now() - killed;
}

/** The power of a machine with ten pods is cut, and it boots again without its cloud. */
async function reboot(): Promise<Row[]> {
  await using machine = await RebootableMachine.create();
  await machine.skerry("up", "--no-sample");
  const applied = await machine.kubectlOutcome(["apply", "-f", "-"], { input: JSON.stringify(TEN_PODS) });
  if (applied.code !== 0) throw new Error(applied.stderr);
  await machine.kubectl("rollout", "status", "deployment/ten", "--timeout=120s");
  await machine.powerCut();
  await machine.boot();
  const containerd = path.join(machine.dataDir, "run/containerd/containerd.sock");
  const began = performance.now();
  const started = machine.skerry("edge", "start");
  await until(() => answers(containerd), "containerd to answer");
  const answered = performance.now();
  await until(async () => {
    const status = await statusOf(path.join(machine.dataDir, "run/agent.sock"));
    return status?.pods.filter((pod) => pod.ready).length === 10;
  }, "ten pods to run");
  const restored = performance.now();
  await started;
  return [
    atMost("reboot offline, 10 pods: containerd answers → all Ready", (restored - answered) / 1000, "s", 2),
    noted("reboot offline: skerry edge start → containerd answers", (answered - began) / 1000, "s"),
  ];
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`Waited a minute for ${what}`);
    await setTimeout(10);
  }
}

/** Whether somebody accepts connections on a unix socket. */
async function answers(file: string): Promise<boolean> {
  if (!existsSync(file)) return false;
  const socket = connect(file);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false; // left by one that has ended
  } finally {
    socket.destroy();
  }
}

/** What the agent says of itself; undefined while it does not. */
async function statusOf(socketPath: string): Promise<AgentStatus | undefined> {
  try {
    const [response] = (await once(http.get({ socketPath, path: "/status" }), "response")) as [IncomingMessage];
    return JSON.parse(await text(response)) as AgentStatus;
  } catch {
    return undefined;
  }
}
