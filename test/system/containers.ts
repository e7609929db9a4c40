import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { PrivateContainerd } from "@skerry/agent";
import type { Machine } from "./machine.ts";

/** One container of a pod, as containerd and the kernel know it: not what anybody reports of it. */
export interface RunningContainer {
  id: string;
  /** `NAMESPACE/POD/CONTAINER`. */
  name: string;
  attempt: number;
  podUid: string;
  sandboxId: string;
  /** Of its first process, in the machine's own counting. */
  pid: number;
}

/** Everything that pods hold on a machine, by the names under which it must be gone with them. */
export interface Holdings {
  /** Ready or not. */
  sandboxes: string[];
  containers: string[];
  /** Processes that hold a sandbox's containers, by sandbox. */
  shims: string[];
  /** Files of network namespaces that are mounted. */
  namespaces: string[];
  /** Mount points below the data folder that are not network namespaces. */
  mounts: string[];
  /** Addresses that are leased, by the sandbox that has them. */
  leases: Record<string, string>;
  /** Ends of pods' cables on the bridge. */
  veths: string[];
  /** Chains of host ports, each of one sandbox. */
  natChains: string[];
  /** Addresses for which the firewall lets through. */
  forwarded: string[];
  /** Pods' cgroups, of any hierarchy. */
  cgroups: string[];
  /** Pods that have a folder of volumes. */
  podFolders: string[];
}

/** The instance of a machine, as its own settings name it. */
export const instanceOf = async (machine: Machine): Promise<string> =>
  (JSON.parse(await readFile(path.join(machine.dataDir, "instance.json"), "utf8")) as { id: string }).id;

/** Opens a machine's containerd beside its agent; whoever uses it changes nothing behind the agent's back but on purpose. */
export async function openContainerd(machine: Machine): Promise<PrivateContainerd> {
  const { dataDir } = machine;
  return new PrivateContainerd({
    instance: await instanceOf(machine),
    dataDir: path.join(dataDir, "edge"),
    runDir: path.join(dataDir, "run"),
    logDir: path.join(dataDir, "log"),
  });
}

const patience = (): AbortSignal => AbortSignal.timeout(30_000);
const stateOf = (machine: Machine): string => path.join(machine.dataDir, "run/containerd/state");
const tasksOf = (machine: Machine): string => path.join(stateOf(machine), "io.containerd.runtime.v2.task/k8s.io");

/** The containers that run now, sorted by name. */
export async function runningContainers(machine: Machine): Promise<RunningContainer[]> {
  await using containerd = await openContainerd(machine);
  const sandboxes = new Map((await containerd.runtime.listSandboxes(patience())).map((each) => [each.id, each]));
  const running = (await containerd.runtime.listContainers(patience())).filter((each) => each.state === "running");
  const found = await Promise.all(
    running.map(async ({ id, name, attempt, sandboxId }) => {
      const sandbox = sandboxes.get(sandboxId);
      const pid = Number(await readFile(path.join(tasksOf(machine), id, "init.pid"), "utf8").catch(() => "0"));
      const podName = `${sandbox?.podNamespace ?? "?"}/${sandbox?.podName ?? "?"}`;
      return { id, name: `${podName}/${name}`, attempt, podUid: sandbox?.podUid ?? "", sandboxId, pid };
    }),
  );
  // Without a first process it ended while we looked.
  return found.filter(({ pid }) => pid > 0).toSorted((a, b) => a.name.localeCompare(b.name) || a.attempt - b.attempt);
}

/** The one container of that name that runs now; fails when there is none, or more. */
export async function theContainer(machine: Machine, name: string): Promise<RunningContainer> {
  const found = (await runningContainers(machine)).filter((each) => each.name === name);
  const [container] = found;
  if (!container || found.length > 1) throw new Error(`${found.length} containers ${name} run`);
  return container;
}

/** Looks at everything that pods may hold. */
export async function holdingsOf(machine: Machine): Promise<Holdings> {
  const { dataDir } = machine;
  const instance = await instanceOf(machine);
  await using containerd = await openContainerd(machine);
  const [sandboxes, containers] = await Promise.all([
    containerd.runtime.listSandboxes(patience()),
    containerd.runtime.listContainers(patience()),
  ]);
  const mounts = (await machine.exec("cat", ["/proc/self/mounts"])).stdout
    .split("\n")
    .flatMap((line) => line.split(" ")[1] ?? [])
    .filter((point) => point.startsWith(`${dataDir}/`));
  const isNamespace = (point: string): boolean => point.includes("/io.containerd.grpc.v1.cri/netns/");
  const [nat, filter, links] = await Promise.all([
    machine.exec("iptables", ["-w", "10", "-t", "nat", "-S"]),
    machine.exec("iptables", ["-w", "10", "-S"]),
    machine.exec("ip", ["-json", "link", "show", "type", "veth"]),
  ]);
  const processes = (await machine.exec("ps", ["-eo", "args="])).stdout.split("\n");
  const leaseDir = path.join(dataDir, "run/containerd/ipam", `skerry-${instance}`);
  const addresses = (await namesIn(leaseDir)).filter((name) => /^\d+(\.\d+){3}$/.test(name));
  const cgroups: string[] = [];
  for (const hierarchy of await namesIn("/sys/fs/cgroup"))
    for (const name of await namesIn(path.join("/sys/fs/cgroup", hierarchy, `skerry-${instance}`)))
      if (name.startsWith("pod") || /besteffort|burstable/.test(name)) cgroups.push(`${hierarchy}/${name}`);
  return {
    sandboxes: sandboxes.map(({ id }) => id),
    containers: containers.map(({ id }) => id),
    shims: processes
      .filter((line) => line.includes("containerd-shim") && line.includes(`${dataDir}/`))
      .map((line) => / -id (\S+)/.exec(line)?.[1] ?? line),
    namespaces: mounts.filter(isNamespace),
    mounts: mounts.filter((point) => !isNamespace(point)),
    leases: Object.fromEntries(
      await Promise.all(
        addresses.map(async (address) => [
          address,
          (await readFile(path.join(leaseDir, address), "utf8")).split(/\s/)[0] ?? "",
        ]),
      ),
    ) as Record<string, string>,
    veths: (JSON.parse(links.stdout || "[]") as { ifname?: string }[]).flatMap(({ ifname }) => ifname ?? []),
    natChains: nat.stdout.split("\n").flatMap((line) => /^-N (CNI-DN-\S+)/.exec(line)?.[1] ?? []),
    forwarded: filter.stdout.split("\n").flatMap((line) => /^-A CNI-FORWARD -s (\S+)\/32/.exec(line)?.[1] ?? []),
    cgroups,
    podFolders: await namesIn(path.join(dataDir, "edge/pods")),
  };
}

/**
 * What a machine's containers, network, mounts and groups hold that its pods do not explain, in words; nothing is right.
 *
 * @param uids - of the pods that exist.
 */
export async function disorder(machine: Machine, uids: ReadonlySet<string>): Promise<string[]> {
  await using containerd = await openContainerd(machine);
  const { runtime } = containerd;
  const [sandboxes, containers, holdings] = await Promise.all([
    runtime.listSandboxes(patience()),
    runtime.listContainers(patience()),
    holdingsOf(machine),
  ]);
  const found: string[] = [];
  const expect = (isSo: boolean, what: string): void => void (isSo || found.push(what));
  const ready = sandboxes.filter((each) => each.ready);
  const isReady = (id: string): boolean => ready.some((each) => each.id === id);
  const running = containers.filter((each) => each.state === "running");
  for (const { id, podName, podUid } of sandboxes)
    expect(uids.has(podUid), `sandbox ${id} is of ${podName}, which is no more`);
  for (const [uid, all] of Map.groupBy(ready, (each) => each.podUid))
    expect(all.length === 1, `pod ${uid} has ${all.length} sandboxes`);
  for (const [name, all] of Map.groupBy(running, (each) => `${each.sandboxId} ${each.name}`))
    expect(all.length === 1, `container ${name} runs ${all.length} times`);
  for (const { id, sandboxId } of running) expect(isReady(sandboxId), `container ${id} runs in no sandbox`);
  for (const id of holdings.shims) expect(isReady(id), `a shim holds sandbox ${id}`);
  const count = (what: string, held: readonly string[]): void =>
    expect(held.length === ready.length, `${ready.length} sandboxes have ${held.length} ${what}: ${held.join(" ")}`);
  count("network namespaces", holdings.namespaces);
  count("cables", holdings.veths);
  for (const [address, id] of Object.entries(holdings.leases)) expect(isReady(id), `${id} holds ${address}`);
  count("addresses", Object.keys(holdings.leases));
  const statuses = await Promise.all(ready.map(({ id }) => runtime.sandboxStatus(id, patience())));
  const ips = statuses.flatMap((each) => each.ips).toSorted();
  expect(new Set(ips).size === ready.length, `${ready.length} sandboxes have the addresses ${ips.join(" ")}`);
  expect(ips.join() === holdings.forwarded.toSorted().join(), `forwarded are ${holdings.forwarded.join(" ")}`);
  const bundles = new Set([...ready, ...running].map(({ id }) => id));
  for (const point of holdings.mounts) {
    const [, id] = /\/([0-9a-f]{64})\//.exec(point) ?? [];
    const [, uid] = /\/edge\/pods\/([^/]+)\//.exec(point) ?? [];
    expect(id !== undefined ? bundles.has(id) : uid !== undefined && uids.has(uid), `mounted is ${point}`);
  }
  for (const cgroup of holdings.cgroups)
    expect(uids.has(cgroup.replace(/^.*\/pod/, "")), `there is the control group ${cgroup}`);
  for (const uid of holdings.podFolders) expect(uids.has(uid), `there is a folder of pod ${uid}`);
  return found;
}

/** What is left of pods where there are none; nothing at all is right. */
export async function traces(machine: Machine): Promise<Partial<Holdings>> {
  const holdings = await holdingsOf(machine);
  return Object.fromEntries(Object.entries(holdings).filter(([, held]) => Object.keys(held as object).length > 0));
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}
