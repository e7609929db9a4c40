/** One thing in a root file system, owned by root, as old as the epoch: the same things make the same bytes. */
export type TarEntry =
  | { type: "file"; path: string; mode: number; content: Uint8Array }
  | { type: "directory"; path: string; mode: number }
  | { type: "symlink"; path: string; target: string };

const BLOCK = 512;
const TYPE_FLAG = { file: "0", symlink: "2", directory: "5" } as const;

/** The entries as a tar archive of the POSIX form "ustar" (pax(1), "ustar Interchange Format"). Paths and targets have at most 100 bytes. */
export function* ustar(entries: Iterable<TarEntry>): Generator<Uint8Array> {
  for (const entry of entries) {
    yield header(entry);
    if (entry.type !== "file" || entry.content.byteLength === 0) continue;
    yield entry.content;
    const over = entry.content.byteLength % BLOCK;
    if (over > 0) yield new Uint8Array(BLOCK - over);
  }
  yield new Uint8Array(2 * BLOCK);
}

function header(entry: TarEntry): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const text = (at: number, length: number, value: string): void => {
    if (Buffer.byteLength(value) > length)
      throw new RangeError(`Cannot put "${value}" into a tar archive: it is longer than ${length} bytes`);
    block.write(value, at, "utf8");
  };
  const octal = (at: number, length: number, value: number): void =>
    text(at, length, value.toString(8).padStart(length - 1, "0"));
  text(0, 100, entry.type === "directory" ? `${entry.path}/` : entry.path);
  octal(100, 8, entry.type === "symlink" ? 0o777 : entry.mode);
  octal(108, 8, 0); // uid
  octal(116, 8, 0); // gid
  octal(124, 12, entry.type === "file" ? entry.content.byteLength : 0);
  octal(136, 12, 0); // modification time
  text(156, 1, TYPE_FLAG[entry.type]);
  if (entry.type === "symlink") text(157, 100, entry.target);
  text(257, 8, "ustar\x0000");
  // The checksum is that of the block whose checksum field holds spaces.
  block.fill(" ", 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  text(148, 8, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}
