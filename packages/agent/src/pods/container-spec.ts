import path from "node:path";
import type { Container, Pod, Volume, VolumeMount } from "@skerry/machinery/types";
import type { ContainerSpec, ImageStatus, Mount } from "../runtime/runtime.ts";
import { isProjection, volumeKind } from "../volumes/contents.ts";
import { ContainerConfigError } from "./config-error.ts";
import { containerVersion, VERSION_LABEL } from "./container-version.ts";
import { expand } from "./expand.ts";
import {
  containerLog,
  hostsFile,
  resolvConfFile,
  subPathDir,
  terminationFile,
  volumeDir,
  type PodPaths,
} from "./paths.ts";
import { containerResources } from "./resources.ts";
import { containerSecurity } from "./security.ts";

export interface ContainerSpecInput {
  pod: Pod;
  container: Container;
  attempt: number;
  image: ImageStatus;
  env: ReadonlyMap<string, string>;
  paths: PodPaths;
  /** The node's memory in bytes, against which requests are weighed. */
  memoryCapacity: number;
}

/** A mount whose source lies inside a volume and must be resolved, and pinned, before the container is made. */
export interface SubPathMount {
  volumePath: string;
  subPath: string;
  /** Where it is bound, and so what the container mounts. */
  boundAt: string;
}

/** Describes the container that the spec asks for. */
export function containerSpec(input: ContainerSpecInput): ContainerSpec {
  const { pod, container, attempt, image, env } = input;
  return {
    name: container.name,
    attempt,
    imageRef: image.id,
    image: container.image ?? "",
    command: (container.command ?? []).map((word) => expand(word, env)),
    args: (container.args ?? []).map((word) => expand(word, env)),
    workingDir: container.workingDir ?? "",
    env: [...env].map(([name, value]) => ({ name, value })),
    mounts: mounts(input),
    labels: { [VERSION_LABEL]: containerVersion(container) },
    annotations: {},
    logPath: containerLog(container.name, attempt),
    stdin: container.stdin === true,
    tty: container.tty === true,
    resources: containerResources(pod, container, input.memoryCapacity),
    security: containerSecurity(pod, container, image),
  };
}

function volumeOf(pod: Pod, name: string): Volume {
  const volume = pod.spec?.volumes?.find((one) => one.name === name);
  if (!volume) throw new ContainerConfigError(`Cannot mount volume "${name}": the pod has no such volume`);
  return volume;
}

/** Where a volume lies on the node. */
function volumePath(pod: Pod, name: string, paths: PodPaths): string {
  const volume = volumeOf(pod, name);
  if (volume.hostPath) return volume.hostPath.path;
  return volumeDir(paths, pod.metadata.uid ?? "", volumeKind(volume), name);
}

/** The mounts of a container that point into a volume. */
export function subPathMounts({ pod, container, env, paths }: ContainerSpecInput): SubPathMount[] {
  return (container.volumeMounts ?? []).flatMap((mount, index) => {
    const subPath = subPathOf(mount, env);
    if (subPath === "") return [];
    const boundAt = subPathDir(paths, pod.metadata.uid ?? "", container.name, index);
    return [{ volumePath: volumePath(pod, mount.name, paths), subPath, boundAt }];
  });
}

/** Where the container mounts something: what its author says, and what every container is given. */
export const mountPaths = (container: Container): string[] => [
  ...(container.volumeMounts ?? []).map(({ mountPath }) => mountPath),
  HOSTS_PATH,
  HOSTNAME_PATH,
  RESOLV_CONF_PATH,
  terminationPath(container),
];

/** What lies below a mount path, seen from there; undefined when `inner` does not. */
export function pathBelow(mountPath: string, inner: string): string | undefined {
  const below = path.posix.relative(mountPath, inner);
  return below === "" || below.split("/", 1)[0] === ".." ? undefined : below;
}

/**
 * The places inside volumes that containers only read at which the container mounts something else, with what is mounted there. The runtime
 * cannot make them itself.
 */
export function innerMountPoints(
  { pod, container: { volumeMounts = [] }, paths }: Pick<ContainerSpecInput, "pod" | "container" | "paths">,
  mounts: readonly Mount[],
): { point: string; source: string }[] {
  // A file as well.
  const hostname = { containerPath: HOSTNAME_PATH, hostPath: hostsFile(paths, pod.metadata.uid ?? "") };
  return volumeMounts.flatMap(({ name, mountPath }) => {
    const outer = mounts.find(({ containerPath }) => containerPath === mountPath);
    if (!outer || !isProjection(volumeOf(pod, name))) return [];
    return [...mounts, hostname].flatMap(({ containerPath, hostPath }) => {
      const below = pathBelow(mountPath, containerPath);
      return below === undefined ? [] : [{ point: path.join(outer.hostPath, below), source: hostPath }];
    });
  });
}

function mounts({ pod, container, attempt, env, paths }: ContainerSpecInput): Mount[] {
  const uid = pod.metadata.uid ?? "";
  const list: Mount[] = (container.volumeMounts ?? []).map((mount, index) => ({
    containerPath: mount.mountPath,
    hostPath:
      subPathOf(mount, env) === "" ? volumePath(pod, mount.name, paths) : subPathDir(paths, uid, container.name, index),
    readonly: mount.readOnly === true || isProjection(volumeOf(pod, mount.name)),
    propagation:
      mount.mountPropagation === "Bidirectional"
        ? "bidirectional"
        : mount.mountPropagation === "HostToContainer"
          ? "hostToContainer"
          : "private",
  }));
  const add = (containerPath: string, hostPath: string, { readonly = false } = {}): void => {
    if (list.some((mount) => mount.containerPath === containerPath)) return; // the author's own mount wins
    list.push({ containerPath, hostPath, readonly, propagation: "private" });
  };
  add(HOSTS_PATH, hostsFile(paths, uid));
  // In the place of the runtime's own, which stays as it was when the sandbox was made.
  add(RESOLV_CONF_PATH, resolvConfFile(paths, uid), { readonly: true });
  add(terminationPath(container), terminationFile(paths, uid, container.name, attempt));
  return list;
}

const HOSTS_PATH = "/etc/hosts";
/** The runtime mounts it by itself. */
const HOSTNAME_PATH = "/etc/hostname";
const RESOLV_CONF_PATH = "/etc/resolv.conf";

export const terminationPath = (container: Container): string =>
  container.terminationMessagePath ?? "/dev/termination-log";

function subPathOf(mount: VolumeMount, env: ReadonlyMap<string, string>): string {
  const text = mount.subPathExpr === undefined ? (mount.subPath ?? "") : expand(mount.subPathExpr, env);
  if (text.startsWith("/") || text.split("/").includes("..")) {
    throw new ContainerConfigError(`Cannot mount volume "${mount.name}": subPath ${text} leaves the volume`);
  }
  return text;
}
