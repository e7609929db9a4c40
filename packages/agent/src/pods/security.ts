import type { Container, Pod } from "@skerry/machinery/types";
import type { ImageStatus, SecuritySpec } from "../runtime/runtime.ts";
import { ContainerConfigError } from "./config-error.ts";

/** Both security contexts of a container as one; the container's own wins ("Configure a Security Context"). */
export function containerSecurity(pod: Pod, container: Container, image: ImageStatus | undefined): SecuritySpec {
  const ofPod = pod.spec?.securityContext ?? {};
  const own = container.securityContext ?? {};
  const runAsUser = own.runAsUser ?? ofPod.runAsUser;
  const runAsGroup = own.runAsGroup ?? ofPod.runAsGroup;
  if (own.runAsNonRoot ?? ofPod.runAsNonRoot) checkNonRoot(runAsUser, image);
  return {
    ...(runAsUser !== undefined && { runAsUser }),
    ...(runAsGroup !== undefined && { runAsGroup }),
    supplementalGroups: podGroups(pod),
    privileged: own.privileged === true,
    readonlyRootfs: own.readOnlyRootFilesystem === true,
    noNewPrivileges: own.allowPrivilegeEscalation === false,
    addCapabilities: own.capabilities?.add ?? [],
    dropCapabilities: own.capabilities?.drop ?? [],
  };
}

/** What the sandbox's own process runs with. A sandbox of a privileged container is privileged too, as CRI asks. */
export function sandboxSecurity(pod: Pod): SecuritySpec {
  const { runAsUser, runAsGroup } = pod.spec?.securityContext ?? {};
  return {
    ...(runAsUser !== undefined && { runAsUser }),
    ...(runAsGroup !== undefined && { runAsGroup }),
    supplementalGroups: podGroups(pod),
    privileged: (pod.spec?.containers ?? []).some((container) => container.securityContext?.privileged === true),
    readonlyRootfs: false,
    noNewPrivileges: false,
    addCapabilities: [],
    dropCapabilities: [],
  };
}

function podGroups(pod: Pod): number[] {
  const { supplementalGroups = [], fsGroup } = pod.spec?.securityContext ?? {};
  return fsGroup === undefined ? supplementalGroups : [...supplementalGroups, fsGroup];
}

function checkNonRoot(runAsUser: number | undefined, image: ImageStatus | undefined): void {
  if (runAsUser === 0) throw new ContainerConfigError("container's runAsUser breaks non-root policy");
  if (runAsUser !== undefined) return;
  if (image?.username) {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root`,
    );
  }
  if (!image?.uid) throw new ContainerConfigError("container has runAsNonRoot and image will run as root");
}
