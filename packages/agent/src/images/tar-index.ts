import type { FileHandle } from "node:fs/promises";

/** Where a file's content lies within a tar archive. */
export interface TarFile {
  offset: number;
  size: number;
}

const BLOCK = 512;
/** Bounds for archives that were made to be harmful: a name, the records before an entry, the entries. */
const MAX_RECORD_BYTES = 1024 * 1024;
const MAX_ENTRIES = 100_000;
const MAX_LINK_DEPTH = 8;

/** The archive is no tar archive, is cut off, or is harmful. */
export class TarError extends Error {
  override name = "TarError";
}

/**
 * Finds the regular files of a tar archive by reading its headers alone, passing over their content; links stand for what they
 * point to. Reads the forms ustar, pax and GNU (pax(1); GNU tar manual, "Basic Tar Format").
 */
export async function indexTar(archive: FileHandle): Promise<Map<string, TarFile>> {
  const { size: total } = await archive.stat();
  const files = new Map<string, TarFile>();
  const links = new Map<string, string>();
  const block = Buffer.alloc(BLOCK);
  let path: string | undefined;
  let linkPath: string | undefined;
  let longSize: number | undefined;
  let entries = 0;

  for (let at = 0; at < total;) {
    await readExactly(archive, block, at);
    at += BLOCK;
    if (block.every((byte) => byte === 0)) break;
    if (++entries > MAX_ENTRIES) throw new TarError(`The archive has more than ${MAX_ENTRIES} entries`);
    checkSum(block, at - BLOCK);
    const type = String.fromCharCode(block[156] ?? 0);
    const size = longSize ?? number(block, 124, 12);
    if (at + size > total) throw new TarError("The archive is cut off");
    const content = at;
    at += Math.ceil(size / BLOCK) * BLOCK;

    if (type === "x" || type === "L" || type === "K") {
      const record = await readRecord(archive, content, size);
      if (type === "L") path = untilZero(record);
      else if (type === "K") linkPath = untilZero(record);
      else {
        const pax = paxRecords(record);
        path = pax.get("path") ?? path;
        linkPath = pax.get("linkpath") ?? linkPath;
        const paxSize = pax.get("size");
        if (paxSize !== undefined) longSize = Number(paxSize);
      }
      continue;
    }
    const prefix = block.toString("latin1", 257, 262) === "ustar" ? text(block, 345, 155) : "";
    const name = normalize(path ?? (prefix ? `${prefix}/${text(block, 0, 100)}` : text(block, 0, 100)));
    if (type === "0" || type === "\0" || type === "7") files.set(name, { offset: content, size });
    else if (type === "1") links.set(name, normalize(linkPath ?? text(block, 157, 100)));
    else if (type === "2") links.set(name, normalize(resolve(name, linkPath ?? text(block, 157, 100))));
    path = linkPath = longSize = undefined;
  }

  for (const [name, target] of links) {
    let to: string | undefined = target;
    for (let depth = 0; depth < MAX_LINK_DEPTH && to !== undefined && !files.has(to); depth++) to = links.get(to);
    const file = to === undefined ? undefined : files.get(to);
    if (file) files.set(name, file);
  }
  return files;
}

async function readExactly(archive: FileHandle, into: Buffer, at: number): Promise<void> {
  const { bytesRead } = await archive.read(into, 0, into.length, at);
  if (bytesRead < into.length) throw new TarError("The archive is cut off");
}

async function readRecord(archive: FileHandle, at: number, size: number): Promise<Buffer> {
  if (size > MAX_RECORD_BYTES) throw new TarError(`The archive has a name record of ${size} bytes`);
  const record = Buffer.alloc(size);
  await readExactly(archive, record, at);
  return record;
}

function checkSum(block: Buffer, at: number): void {
  const expected = number(block, 148, 8);
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte;
  if (sum !== expected) throw new TarError(`There is no tar header at byte ${at}`);
}

/** Octal digits, or, with the first bit set, a big-endian binary number (GNU). */
function number(block: Buffer, at: number, length: number): number {
  const field = block.subarray(at, at + length);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    const value = field.readBigUInt64BE(length - 8);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new TarError("The archive has an entry of impossible size");
    return Number(value);
  }
  const value = Number.parseInt(untilZero(field).trim() || "0", 8);
  if (!Number.isSafeInteger(value) || value < 0) throw new TarError("The archive has a malformed header");
  return value;
}

const text = (block: Buffer, at: number, length: number): string => untilZero(block.subarray(at, at + length));

function untilZero(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

/** Lines of `<length> <key>=<value>`, the length counting itself (pax(1), "pax Header Block"). */
function paxRecords(record: Buffer): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < record.length;) {
    const space = record.indexOf(0x20, at);
    const length = Number(record.toString("latin1", at, space));
    if (space < 0 || !Number.isInteger(length) || length <= 0 || at + length > record.length)
      throw new TarError("The archive has a malformed pax record");
    const line = record.toString("utf8", space + 1, at + length - 1);
    const equals = line.indexOf("=");
    found.set(line.slice(0, equals), line.slice(equals + 1));
    at += length;
  }
  return found;
}

const resolve = (name: string, target: string): string =>
  target.startsWith("/") ? target : `${name.slice(0, name.lastIndexOf("/") + 1)}${target}`;

/** `./a//b/../c` as `a/c`: archives name the same file in several ways. */
function normalize(name: string): string {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}
