/**
 * Whether the bundle of the program is that of the sources beside it. Plain JavaScript, because what starts a daemon asks it: loading
 * Node's stripper of types costs a process 17 MB that it never gives back.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";

/**
 * What a bundle was made of.
 * @typedef {object} Manifest
 * @property {string} root The repository's path, which modules in the bundle know.
 * @property {string} dir The folder of the bundle, below the folder of bundles.
 * @property {Record<string, Source>} sources By path below the repository: each module in the bundle, and what decides which those are.
 *
 * @typedef {object} Source
 * @property {string} stamp See `stampOf`.
 * @property {string} hash See `hashOf`.
 */

/** Below the repository: where bundles lie, and the manifest of the newest. */
export const BUNDLES = "node_modules/.cache/skerry";
export const MANIFEST = "bundle.json";

/**
 * The folder of the bundle in `root`, when it was made of exactly what the sources are now; undefined when it was not, or when there is none.
 *
 * A source whose stamp is as it was has not been written since (its ctime cannot be set). Any other is read: a copied tree
 * has other stamps and the same contents.
 * @param {string} root The repository.
 * @returns {string | undefined}
 */
export function freshBundle(root) {
  try {
    const bundles = path.join(root, BUNDLES);
    const manifest = /** @type {Manifest} */ (JSON.parse(readFileSync(path.join(bundles, MANIFEST), "utf8")));
    if (manifest.root !== root) return undefined;
    for (const [name, source] of Object.entries(manifest.sources)) {
      const file = path.join(root, name);
      if (stampOf(file) !== source.stamp && hashOf(readFileSync(file)) !== source.hash) return undefined;
    }
    const dir = path.join(bundles, manifest.dir);
    return statSync(dir).isDirectory() ? dir : undefined;
  } catch {
    return undefined; // no bundle, or a source that is gone: nothing that could be run in place of the sources
  }
}

/**
 * What changes whenever a file is written, replaced or moved: inode, size, mtime and ctime.
 * @param {string} file
 */
export function stampOf(file) {
  const { ino, size, mtimeMs, ctimeMs } = statSync(file);
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** @param {Uint8Array} bytes */
export const hashOf = (bytes) => createHash("sha256").update(bytes).digest("base64");
