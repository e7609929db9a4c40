import type { Clock } from "@skerry/base";
import type { GrpcClient } from "../runtime/cri/grpc-client.ts";
import { isGrpcError } from "../runtime/cri/grpc-error.ts";
import { containerdCodec, CRI_NAMESPACE } from "../runtime/cri/services.ts";

const SIGKILL = 9;
const CALL_TIMEOUT_MS = 10_000;
/** A task that was killed is deleted once its processes have ended: how often that is tried. */
const TRY_MS = 50;
const TRIES = 100;

/**
 * Kills the processes of a container and deletes its task, which is what containerd calls them, beside CRI. When a start is cut off, CRI may take
 * the container for ended though its task runs; it then neither stops nor removes it.
 */
export async function endTask(
  client: GrpcClient,
  containerId: string,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  const codec = containerdCodec();
  const call = (method: string, request: Uint8Array): Promise<unknown> =>
    client.unary(`/containerd.services.tasks.v1.Tasks/${method}`, request, {
      signal,
      timeoutMs: CALL_TIMEOUT_MS,
      metadata: { "containerd-namespace": CRI_NAMESPACE },
    });
  const kill = codec.encode("KillRequest", { containerId, signal: SIGKILL, all: true });
  const remove = codec.encode("DeleteTaskRequest", { containerId });
  for (let tries = 1; ; tries++) {
    try {
      // Not known, or ended already: then there is nothing to kill.
      if (tries === 1) await call("Kill", kill).catch(unless("NotFound"));
      await call("Delete", remove);
      return;
    } catch (error) {
      if (isGrpcError(error, "NotFound")) return;
      if (!isGrpcError(error, "FailedPrecondition") || tries === TRIES) throw error;
    }
    await clock.sleep(TRY_MS, signal);
  }
}

const unless =
  (code: "NotFound") =>
  (error: unknown): void => {
    if (!isGrpcError(error, code)) throw error;
  };
