import { badRequest, resourceVersionTooLarge } from "@skerry/machinery";
import { resourceName, type Core } from "./core.ts";
import type { KindRow } from "./kind-row.ts";

/** How long a read waits for a revision that isn't there yet, in milliseconds. */
const PATIENCE_MS = 3_000;

/** Reads `resourceVersion` of a request: undefined when any state will do. */
export function parseRevision(text: string | undefined): number | undefined {
  if (text === undefined || text === "" || text === "0") return undefined;
  const revision = /^[0-9]+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(revision))
    throw badRequest(`invalid resource version ${JSON.stringify(text)}: it is a decimal number`);
  return revision;
}

/** The revision of what a list of the kind would show now. */
export const newestRevision = (core: Core, row: KindRow): number =>
  core.storage.list(resourceName(row), { limit: 1 }).revision;

/** Resolves when reads of the kind have come to the revision; gives up with 504, as upstream does, so that the client asks again. */
export async function waitForRevision(
  core: Core,
  row: KindRow,
  revision: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const giveUp = new AbortController();
  const onAbort = (): void => giveUp.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener("abort", onAbort, { once: true });
  const cancel = core.clock.after(PATIENCE_MS, () => giveUp.abort());
  try {
    await core.storage.reached(resourceName(row), revision, giveUp.signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (!giveUp.signal.aborted) throw error;
    throw resourceVersionTooLarge(String(revision), String(newestRevision(core, row)));
  } finally {
    cancel();
    signal?.removeEventListener("abort", onAbort);
  }
}
