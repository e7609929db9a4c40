import { badRequest, resourceVersionTooLarge } from "@skerry/machinery";
import type { Core } from "./core.ts";

/** How long a read waits for a revision that isn't there yet, in milliseconds, and how often it looks. */
const PATIENCE_MS = 3_000;
const LOOK_MS = 50;

/** Reads `resourceVersion` of a request: undefined when any state will do. */
export function parseRevision(text: string | undefined): number | undefined {
  if (text === undefined || text === "" || text === "0") return undefined;
  const revision = /^[0-9]+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(revision))
    throw badRequest(`invalid resource version ${JSON.stringify(text)}: it is a decimal number`);
  return revision;
}

/** Resolves when storage has come to the revision; gives up with 504, as upstream does, so that the client asks again. */
export async function waitForRevision(core: Core, revision: number, signal: AbortSignal | undefined): Promise<void> {
  const until = core.clock.monotonic() + PATIENCE_MS;
  while (core.storage.revision < revision) {
    if (core.clock.monotonic() >= until) {
      throw resourceVersionTooLarge(String(revision), String(core.storage.revision));
    }
    await core.clock.sleep(LOOK_MS, signal);
  }
}
