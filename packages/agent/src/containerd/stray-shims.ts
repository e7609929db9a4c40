import type { ProcessId } from "@skerry/base";
import type { GrpcClient } from "../runtime/cri/grpc-client.ts";
import { isGrpcError } from "../runtime/cri/grpc-error.ts";
import { containerdCodec, CRI_NAMESPACE } from "../runtime/cri/services.ts";
import type { Shim } from "./leftovers.ts";

/** Whether containerd has a record of a container: made before its shim is started, removed after that was ended. */
export type HasRecord = (id: string, signal: AbortSignal) => Promise<boolean>;

export interface StrayShimsOptions {
  /** The containerd that serves; undefined while none does. */
  server: () => ProcessId | undefined;
  shims: () => Promise<Shim[]>;
  ageMs: (shim: Shim) => Promise<number>;
  /** The sandboxes that CRI lists. */
  listed: (signal: AbortSignal) => Promise<ReadonlySet<string>>;
  hasRecord: HasRecord;
}

/**
 * Finds strays: shims that run on though nobody knows their sandbox. Ending one that is none ends a healthy pod, so a shim is a
 * stray only when neither CRI nor containerd's records know its sandbox, twice in a row, to one and the same containerd. CRI
 * alone is no witness: it lists neither a sandbox that is being made nor one that it could not load in time.
 */
export class StrayShims {
  readonly #options: StrayShimsOptions;
  #suspects: ReadonlySet<string> = new Set();

  constructor(options: StrayShimsOptions) {
    this.#options = options;
  }

  /** Looks once more; the strays are those that were suspects at the look before. Younger ones than `minAgeMs` are spared. */
  async look(minAgeMs: number, signal: AbortSignal): Promise<Shim[]> {
    const { server, shims, ageMs, listed, hasRecord } = this.#options;
    const before = this.#suspects;
    this.#suspects = new Set(); // a look that fails says nothing, and the next begins anew
    const asked = server();
    if (!asked) return [];
    const found = await shims();
    const known = await listed(signal);
    const suspects = new Map<string, Shim>();
    for (const shim of found) {
      if (known.has(shim.sandboxId) || (await ageMs(shim)) < minAgeMs) continue;
      if (!(await hasRecord(shim.sandboxId, signal))) suspects.set(`${nameOf(shim)} ${nameOf(asked)}`, shim);
    }
    const answered = server();
    if (!answered || nameOf(answered) !== nameOf(asked)) return [];
    this.#suspects = new Set(suspects.keys());
    return [...suspects].flatMap(([name, shim]) => (before.has(name) ? [shim] : []));
  }
}

const nameOf = ({ pid, startTime }: ProcessId): string => `${pid}@${startTime}`;

const RECORD_TIMEOUT_MS = 30_000;

/** Asks containerd itself, beside CRI. */
export function containerdRecords(client: GrpcClient): HasRecord {
  const codec = containerdCodec();
  return async (id, signal) => {
    try {
      await client.unary(
        "/containerd.services.containers.v1.Containers/Get",
        codec.encode("GetContainerRequest", { id }),
        { signal, timeoutMs: RECORD_TIMEOUT_MS, metadata: { "containerd-namespace": CRI_NAMESPACE } },
      );
      return true;
    } catch (error) {
      if (isGrpcError(error, "NotFound")) return false;
      throw error;
    }
  };
}
