/**
 * Reads Go's own description of its types out of a program: field names, tags, pointers, packages. Reflection needs it, so
 * even a stripped binary carries it. Source: Go's internal/abi/type.go (1.24, 1.25) and cmd/link's ELF sections.
 */

export type GoKind =
  | "bool"
  | "int32"
  | "int64"
  | "float64"
  | "string"
  | "uint8"
  | "map"
  | "pointer"
  | "slice"
  | "struct"
  | "other";

const KINDS: Readonly<Record<number, GoKind>> = {
  1: "bool",
  5: "int32",
  6: "int64",
  8: "uint8",
  14: "float64",
  21: "map",
  22: "pointer",
  23: "slice",
  24: "string",
  25: "struct",
};

const KIND_MASK = 31;
const FLAG_UNCOMMON = 1;
const FLAG_EXTRA_STAR = 2;
const FLAG_NAMED = 4;
/** abi.Type, what every description begins with. */
const TYPE_BYTES = 48;
const FIELD_BYTES = 24;

export interface GoType {
  kind: GoKind;
  /** As Go prints it, with the last part of the package: `v1.Pod`. */
  name: string;
  /** Declared with a name, like `type ExtraValue []string`. */
  named: boolean;
  /** The import path; of structs only. */
  packagePath: string;
  /** What a pointer, slice or map holds. */
  element: () => GoType;
  /** A struct's fields, in the order of its declaration. */
  fields: () => GoField[];
}

export interface GoField {
  name: string;
  /** `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"` */
  tag: string;
  type: GoType;
}

interface Section {
  address: number;
  offset: number;
  size: number;
}

/** Finds the structs that something in the program points to, by import path and name: `k8s.io/api/core/v1.Pod`. */
export function goStructs(program: Buffer): ReadonlyMap<string, GoType> {
  const sections = readSections(program);
  const types = sections.get(".rodata");
  const links = sections.get(".typelink");
  if (types === undefined || links === undefined) throw new Error("Cannot read Go's types: the program has none");

  const offsetOf = (address: number): number => {
    for (const section of sections.values()) {
      if (section.address <= address && address < section.address + section.size) {
        return address - section.address + section.offset;
      }
    }
    throw new Error(`Cannot read Go's types: the address ${address} is in no section`);
  };
  const pointerAt = (offset: number): number => Number(program.readBigUInt64LE(offset));

  const nameAt = (offset: number): { name: string; tag: string } => {
    let at = offset + 1;
    const text = (): string => {
      let length = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = program[at++] ?? 0;
        length |= (byte & 127) << shift;
        if (byte < 128) break;
      }
      at += length;
      return program.toString("utf8", at - length, at);
    };
    const name = text();
    return { name, tag: ((program[offset] ?? 0) & 2) === 0 ? "" : text() };
  };

  const typeAt = (offset: number): GoType => {
    const flags = program[offset + 20] ?? 0;
    const kind = KINDS[(program[offset + 23] ?? 0) & KIND_MASK] ?? "other";
    const { name } = nameAt(types.offset + program.readInt32LE(offset + 40));
    const follow = (at: number): GoType => typeAt(offsetOf(pointerAt(at)));
    const structBytes = TYPE_BYTES + 32;
    return {
      kind,
      name: (flags & FLAG_EXTRA_STAR) === 0 ? name : name.slice(1),
      named: (flags & FLAG_NAMED) !== 0,
      packagePath:
        kind === "struct" && (flags & FLAG_UNCOMMON) !== 0
          ? nameAt(types.offset + program.readInt32LE(offset + structBytes)).name
          : "",
      element: () => follow(offset + TYPE_BYTES + (kind === "map" ? 8 : 0)),
      fields: () =>
        Array.from({ length: pointerAt(offset + TYPE_BYTES + 16) }, (_, i) => {
          const at = offsetOf(pointerAt(offset + TYPE_BYTES + 8)) + i * FIELD_BYTES;
          return { ...nameAt(offsetOf(pointerAt(at))), type: follow(at + 8) };
        }),
    };
  };

  const structs = new Map<string, GoType>();
  for (let at = links.offset; at < links.offset + links.size; at += 4) {
    const type = typeAt(types.offset + program.readInt32LE(at));
    if (type.kind !== "pointer") continue;
    const element = type.element();
    if (element.kind === "struct" && element.packagePath !== "") structs.set(fullName(element), element);
  }
  return structs;
}

/** `k8s.io/api/core/v1.Pod`. */
export const fullName = ({ packagePath, name }: GoType): string =>
  `${packagePath}.${name.slice(name.lastIndexOf(".") + 1)}`;

/** Source: System V ABI, ELF-64 object file format. */
function readSections(program: Buffer): Map<string, Section> {
  const table = Number(program.readBigUInt64LE(0x28));
  const entryBytes = program.readUInt16LE(0x3a);
  const headers = Array.from({ length: program.readUInt16LE(0x3c) }, (_, i) => {
    const at = table + i * entryBytes;
    return {
      name: program.readUInt32LE(at),
      address: Number(program.readBigUInt64LE(at + 16)),
      offset: Number(program.readBigUInt64LE(at + 24)),
      size: Number(program.readBigUInt64LE(at + 32)),
    };
  });
  const names = headers[program.readUInt16LE(0x3e)]?.offset ?? 0;
  return new Map(
    headers
      .filter(({ address }) => address !== 0)
      .map(({ name, ...section }) => {
        const start = names + name;
        return [program.toString("latin1", start, program.indexOf(0, start)), section];
      }),
  );
}
