import path from "node:path";
import type { Pod } from "@skerry/machinery/types";

/** Where an agent keeps its pods' files. */
export interface PodPaths {
  /** Folders, volumes and files of running pods, one folder per uid. */
  readonly podsDir: string;
  /** One folder per pod, kept until the pod is deleted. */
  readonly logsDir: string;
}

export const podPaths = (dataDir: string): PodPaths => ({
  podsDir: path.join(dataDir, "pods"),
  logsDir: path.join(dataDir, "logs", "pods"),
});

/** The pod's own folder. Its existence means that something of the pod may be left to clean. */
export const podDir = (paths: PodPaths, uid: string): string => path.join(paths.podsDir, segment(uid));

/** What the runtime is told as the sandbox's log directory: `namespace_name_uid`, as the kubelet names it. */
export const podLogDir = (paths: PodPaths, pod: Pick<Pod, "metadata">): string => {
  const { namespace = "", name = "", uid = "" } = pod.metadata;
  return path.join(paths.logsDir, segment(`${namespace}_${name}_${uid}`));
};

/** The log of one instance of a container, below the pod's log directory. */
export const containerLog = (container: string, attempt: number): string =>
  path.join(segment(container), `${attempt}.log`);

export const volumeDir = (paths: PodPaths, uid: string, kind: string, name: string): string =>
  path.join(podDir(paths, uid), "volumes", segment(kind), segment(name));

export const subPathDir = (paths: PodPaths, uid: string, container: string, index: number): string =>
  path.join(podDir(paths, uid), "subpaths", segment(container), String(index));

export const hostsFile = (paths: PodPaths, uid: string): string => path.join(podDir(paths, uid), "etc-hosts");

/** What the pod's containers see as /etc/resolv.conf. */
export const resolvConfFile = (paths: PodPaths, uid: string): string => path.join(podDir(paths, uid), "resolv.conf");

/** What the container may write its last words to; one file an instance. */
export const terminationFile = (paths: PodPaths, uid: string, container: string, attempt: number): string =>
  path.join(podDir(paths, uid), "containers", segment(container), String(attempt));

/** Names come from the cloud: one that is not a plain file name must not reach the disk. */
function segment(name: string): string {
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
    throw new RangeError(`Cannot use ${JSON.stringify(name)} as a file name`);
  }
  return name;
}
