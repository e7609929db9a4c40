import { systemClock, type Clock } from "@skerry/base";
import type { RuntimeChange } from "../runtime.ts";
import type { GrpcClient } from "./grpc-client.ts";
import { isGrpcError } from "./grpc-error.ts";
import { containerdCodec, CRI_NAMESPACE, type CriServices } from "./services.ts";

/** The events of containerd that change what a pod's status says, and which nobody here asked for. */
const TOPICS = ["/tasks/exit", "/tasks/oom"];

/** How often, and how many times, the CRI service is looked at until it has noticed an exit itself. */
const NOTICE_MS = 10;
const NOTICE_TRIES = 50;

/**
 * Yields what changed behind our back, from containerd's event service or, where there is none, CRI's. Ends when neither
 * is there, or when the connection breaks.
 */
export async function* runtimeChanges(
  client: GrpcClient,
  cri: CriServices,
  signal: AbortSignal,
  clock: Clock = systemClock,
): AsyncGenerator<RuntimeChange> {
  try {
    yield* containerdChanges(client, cri, signal, clock);
  } catch (error) {
    if (isGrpcError(error, "Unavailable")) return;
    if (!isGrpcError(error, "Unimplemented")) throw error;
  }
  try {
    for await (const event of cri.containerEvents({ signal })) yield { id: event.containerId || undefined, oom: false };
  } catch (error) {
    if (!isGrpcError(error, "Unavailable") && !isGrpcError(error, "Unimplemented")) throw error;
  }
}

async function* containerdChanges(
  client: GrpcClient,
  cri: CriServices,
  signal: AbortSignal,
  clock: Clock,
): AsyncGenerator<RuntimeChange> {
  const codec = containerdCodec();
  const request = codec.encode("SubscribeRequest", {
    filters: TOPICS.map((topic) => `topic=="${topic}",namespace==${CRI_NAMESPACE}`),
  });
  const method = "/containerd.services.events.v1.Events/Subscribe";
  for await (const bytes of client.serverStream(method, request, { signal })) {
    const { topic, event } = codec.decode("Envelope", bytes);
    const value = event?.value ?? new Uint8Array();
    if (topic === "/tasks/exit") {
      const { containerId, id } = codec.decode("TaskExit", value);
      // A process that was started beside the container's own has ended: nothing to see.
      if (id !== "" && id !== containerId) continue;
      await noticed(containerId, cri, signal, clock);
      yield { id: containerId, oom: false };
    } else {
      yield { id: codec.decode("TaskOOM", value).containerId, oom: true };
    }
  }
}

/**
 * Waits until the CRI service, which hears of an exit when we do and then has work to do, no longer calls the container
 * running: who looked at once would see the old state, and not be told again.
 */
async function noticed(id: string, cri: CriServices, signal: AbortSignal, clock: Clock): Promise<void> {
  for (let tries = 0; tries < NOTICE_TRIES; tries++) {
    try {
      const { status } = await cri.call("ContainerStatus", { containerId: id }, { signal, timeoutMs: 10_000 });
      if (status?.state !== "CONTAINER_RUNNING") return;
    } catch (error) {
      signal.throwIfAborted();
      if (!isGrpcError(error, "NotFound")) return;
      const { status } = await cri
        .call("PodSandboxStatus", { podSandboxId: id }, { signal, timeoutMs: 10_000 })
        .catch(() => ({ status: undefined }));
      if (status?.state !== "SANDBOX_READY") return;
    }
    await clock.sleep(NOTICE_MS, signal);
  }
}
