import { readFile, statfs } from "node:fs/promises";
import os from "node:os";
import { nodeDns, type NodeDns } from "../pods/dns.ts";

/** What this machine is and how it fares, as far as a Node's status and its pods want to know. */
export interface MachineFacts {
  hostname: string;
  /** Its own addresses, the one of the default route first; loopback when it has no other. */
  addresses: string[];
  cpus: number;
  memoryBytes: number;
  memoryAvailableBytes: number;
  storageBytes: number;
  storageAvailableBytes: number;
  maxPids: number;
  pids: number;
  /** In Kubernetes' words: `amd64`, `arm64`. */
  architecture: string;
  kernel: string;
  osImage: string;
  machineId: string;
  bootId: string;
  dns: NodeDns;
  /** /etc/hosts. */
  hosts: string;
}

const ARCHITECTURES: Record<string, string> = {
  x64: "amd64",
  ia32: "386",
  arm64: "arm64",
  arm: "arm",
  riscv64: "riscv64",
};
/** Bridges, pods' ends of cables and other instances: addresses there are not the machine's own. */
const VIRTUAL = /^(?:lo|docker|br-|virbr|veth|cni|cbr|flannel|sk|skerry|tun|tap|wg)/;
/** Names a boot: another after each reboot. */
export const readBootId = async (): Promise<string> =>
  (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();

/** Looks at the machine. `folder` is where pods' files are: the space of its file system counts. */
export async function readMachine(folder: string): Promise<MachineFacts> {
  const [disk, meminfo, osRelease, machineId, bootId, maxPids, loadavg, hosts, routes, resolvConf, resolvedConf] =
    await Promise.all([
      statfs(folder),
      readFile("/proc/meminfo", "utf8"),
      readOr("/etc/os-release", ""),
      readOr("/etc/machine-id", ""),
      readBootId(),
      readOr("/proc/sys/kernel/pid_max", "32768"),
      readOr("/proc/loadavg", ""),
      readOr("/etc/hosts", ""),
      readOr("/proc/net/route", ""),
      readOr("/etc/resolv.conf", ""),
      readOr("/run/systemd/resolve/resolv.conf", ""),
    ]);
  const total = meminfoBytes(meminfo, "MemTotal");
  return {
    hostname: os.hostname(),
    addresses: hostAddresses(os.networkInterfaces(), defaultRouteInterface(routes)),
    cpus: os.cpus().length,
    memoryBytes: total,
    memoryAvailableBytes: meminfoBytes(meminfo, "MemAvailable"),
    storageBytes: disk.blocks * disk.bsize,
    storageAvailableBytes: disk.bavail * disk.bsize,
    maxPids: Number(maxPids.trim()),
    pids: Number(/\d+\/(\d+)/.exec(loadavg)?.[1] ?? 0),
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    kernel: os.release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? "Linux",
    machineId: machineId.trim(),
    bootId,
    dns: nodeDns(resolvConf, resolvedConf),
    hosts,
  };
}

/** The machine's own addresses: of the default route's interface first, and never of bridges and the like. */
export function hostAddresses(
  interfaces: NodeJS.Dict<os.NetworkInterfaceInfo[]>,
  preferred: string | undefined,
): string[] {
  const own = Object.entries(interfaces)
    .filter(([name]) => name === preferred || !VIRTUAL.test(name))
    .sort(([a], [b]) => Number(b === preferred) - Number(a === preferred));
  const addresses = own.flatMap(([, list = []]) => list).filter((one) => !one.internal && !isLinkLocal(one.address));
  const v4 = addresses.find((one) => one.family === "IPv4")?.address;
  const v6 = addresses.find((one) => one.family === "IPv6")?.address;
  const found = [v4, v6].filter((address) => address !== undefined);
  return found.length > 0 ? found : ["127.0.0.1"];
}

/** The interface of the default route; the columns of proc(5) net/route are interface, destination, … flags (bit 1: gateway). */
export function defaultRouteInterface(routes: string): string | undefined {
  for (const line of routes.split("\n").slice(1)) {
    const [name, destination, , flags] = line.split("\t");
    if (destination === "00000000" && (Number.parseInt(flags ?? "0", 16) & 2) !== 0) return name;
  }
  return undefined;
}

async function readOr(file: string, fallback: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch {
    return fallback; // not there on every machine, and nothing depends on it
  }
}

const meminfoBytes = (meminfo: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(meminfo)?.[1] ?? 0) * 1024;

const isLinkLocal = (address: string): boolean => /^(?:169\.254\.|fe80:)/i.test(address);
