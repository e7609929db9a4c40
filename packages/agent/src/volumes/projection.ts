import { randomBytes } from "node:crypto";
import {
  chmod,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import { isMissingFile } from "@skerry/base";

/** A file of a projected volume. */
export interface ProjectedFile {
  bytes: Uint8Array;
  mode: number;
}

const DATA = "..data";

/**
 * Makes a folder hold exactly these files, all at once: they are written to a new folder beside, and `..data`, through which
 * every visible name leads, is switched to it by one rename. Readers see the old files or the new, never some of each.
 * Nothing is written when the contents are as wanted. The layout is the one that programs which watch ConfigMaps know.
 * `mounted` are names at which containers have mounted something else: what is there stays, for the mount would go with it.
 * Resolves with whether anything changed.
 */
export async function writeProjection(
  folder: string,
  files: ReadonlyMap<string, ProjectedFile>,
  { gid, mounted = new Set() }: { gid?: number | undefined; mounted?: ReadonlySet<string> } = {},
): Promise<boolean> {
  for (const name of files.keys()) checkName(name);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const before = await readLink(path.join(folder, DATA));
  const isCurrent = before !== undefined && (await holds(path.join(folder, before), files));
  if (!isCurrent) {
    const fresh = `..${new Date().toISOString().replace(/[-:.TZ]/g, "_")}${randomBytes(4).toString("hex")}`;
    await writeFiles(path.join(folder, fresh), files, gid);
    const temporary = path.join(folder, "..data_tmp");
    await rm(temporary, { force: true });
    await symlink(fresh, temporary);
    await rename(temporary, path.join(folder, DATA));
  }
  await linkNames(folder, files, mounted);
  const current = await readLink(path.join(folder, DATA));
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    // Left by the version before, or by a write that was cut short.
    const isOld = entry.name.startsWith("..") && entry.name !== DATA && entry.name !== current;
    if (isOld) await rm(path.join(folder, entry.name), { recursive: true, force: true });
  }
  return !isCurrent;
}

async function writeFiles(folder: string, files: ReadonlyMap<string, ProjectedFile>, gid?: number): Promise<void> {
  await mkdir(folder, { mode: 0o755 });
  if (gid !== undefined) await lchown(folder, -1, gid);
  for (const [name, { bytes, mode }] of files) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, bytes, { flag: "wx" });
    if (gid !== undefined) await lchown(file, -1, gid);
    await chmod(file, mode); // not at creation: the umask would have its say
  }
}

async function linkNames(
  folder: string,
  files: ReadonlyMap<string, ProjectedFile>,
  mounted: ReadonlySet<string>,
): Promise<void> {
  const wanted = new Set([...files.keys()].map((name) => name.split("/", 1)[0] ?? name));
  const entries = await readdir(folder);
  for (const entry of entries) {
    if (!entry.startsWith("..") && !wanted.has(entry) && !mounted.has(entry))
      await rm(path.join(folder, entry), { recursive: true, force: true });
  }
  for (const name of wanted) {
    if (mounted.has(name) && entries.includes(name)) continue;
    const link = path.join(folder, name);
    if ((await readLink(link)) === `${DATA}/${name}`) continue;
    await rm(link, { recursive: true, force: true });
    await symlink(`${DATA}/${name}`, link);
  }
}

/** Whether the folder holds these files with these contents and modes, and no other. */
async function holds(folder: string, files: ReadonlyMap<string, ProjectedFile>): Promise<boolean> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    if (entries.filter((entry) => !entry.isDirectory()).length !== files.size) return false;
    for (const [name, { bytes, mode }] of files) {
      const file = path.join(folder, name);
      const stat = await lstat(file);
      if (!stat.isFile() || (stat.mode & 0o7777) !== mode || stat.size !== bytes.length) return false;
      if (!(await readFile(file)).equals(bytes)) return false;
    }
    return true;
  } catch (error) {
    if (isMissingFile(error)) return false;
    throw error;
  }
}

async function readLink(file: string): Promise<string | undefined> {
  try {
    return await readlink(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "EINVAL") return undefined;
    throw error;
  }
}

function checkName(name: string): void {
  const parts = name.split("/");
  if (
    name === "" ||
    name.startsWith("/") ||
    name.startsWith("..") ||
    parts.some((part) => part === ".." || part === "")
  ) {
    throw new RangeError(`Cannot project a file to ${JSON.stringify(name)}: the path leaves the volume`);
  }
}
