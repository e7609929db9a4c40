/** Program header type of the dynamic linker's path (elf(5), `PT_INTERP`). */
const PT_INTERP = 3;

/**
 * Whether a file is an ELF program that needs no other file to run, so that it can be an image of its own. Reads 64- and
 * 32-bit little-endian ELF, which is what Linux devices run.
 */
export function isStaticBinary(file: Buffer): boolean {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[5] !== 1) return false;
  const is64 = file[4] === 2;
  const tableAt = is64 ? Number(file.readBigUInt64LE(32)) : file.readUInt32LE(28);
  const entrySize = file.readUInt16LE(is64 ? 54 : 42);
  const entries = file.readUInt16LE(is64 ? 56 : 44);
  for (let n = 0; n < entries; n++) {
    const at = tableAt + n * entrySize;
    if (at + 4 > file.length || file.readUInt32LE(at) === PT_INTERP) return false;
  }
  return true;
}
