import zlib from "node:zlib";

const END_OF_DIRECTORY = 0x0605_4b50;
const DIRECTORY_ENTRY = 0x0201_4b50;
const LOCAL_HEADER = 0x0403_4b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;

/**
 * Takes one file out of a zip archive that is in memory. Source: PKWARE APPNOTE 6.3, 4.3.6 to 4.3.16; no zip64, no encryption.
 */
export function unzip(archive: Buffer, name: string): Buffer {
  let end = archive.length - END_BYTES;
  while (end >= 0 && archive.readUInt32LE(end) !== END_OF_DIRECTORY) end--;
  if (end < 0 || archive.length - end > END_BYTES + MAX_COMMENT_BYTES)
    throw new Error("Cannot read the archive: no zip");

  let at = archive.readUInt32LE(end + 16);
  for (let entries = archive.readUInt16LE(end + 10); entries > 0; entries--) {
    if (archive.readUInt32LE(at) !== DIRECTORY_ENTRY)
      throw new Error("Cannot read the archive: its directory is broken");
    const nameEnd = at + 46 + archive.readUInt16LE(at + 28);
    if (archive.toString("utf8", at + 46, nameEnd) === name) return contentOf(archive, at, name);
    at = nameEnd + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
  throw new Error(`Cannot find ${name} in the archive`);
}

function contentOf(archive: Buffer, entry: number, name: string): Buffer {
  const method = archive.readUInt16LE(entry + 10);
  const checksum = archive.readUInt32LE(entry + 16);
  const packedBytes = archive.readUInt32LE(entry + 20);
  const bytes = archive.readUInt32LE(entry + 24);
  const header = archive.readUInt32LE(entry + 42);
  if (archive.readUInt32LE(header) !== LOCAL_HEADER) throw new Error(`Cannot read ${name}: its header is broken`);
  const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
  const packed = archive.subarray(start, start + packedBytes);
  if (method !== 0 && method !== 8)
    throw new Error(`Cannot read ${name}: compression method ${method} is not supported`);
  const content = method === 0 ? packed : zlib.inflateRawSync(packed, { maxOutputLength: bytes });
  if (zlib.crc32(content) !== checksum) throw new Error(`Cannot read ${name}: its checksum is wrong`);
  return content;
}
