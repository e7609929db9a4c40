import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { freshBundle } from "./fresh-bundle.js";

const ROOT = path.resolve(import.meta.dirname, "../../../..");
const BUNDLE_TIMEOUT_MS = 20_000;

/** Bundles the daemons again when their sources have changed since. Without a bundle, as in a clone that cannot be written, daemons run the sources. */
export async function refreshBundle(): Promise<void> {
  if (freshBundle(ROOT)) return;
  try {
    await promisify(execFile)(process.execPath, [path.join(ROOT, "tools/bundle.ts")], { timeout: BUNDLE_TIMEOUT_MS });
  } catch {
    // The sources do the same with more memory; what is wrong with them, the daemon's own start says best.
  }
}
