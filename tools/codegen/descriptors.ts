import zlib from "node:zlib";
import { protobufCodec, type ProtobufTable } from "@skerry/base";

/** What protoc says of a `.proto` file. Source: google/protobuf/descriptor.proto, of which these are the fields we read. */
export interface FileDescriptor {
  name: string;
  package: string;
  messageType: MessageDescriptor[];
  enumType: EnumDescriptor[];
  service: ServiceDescriptor[];
  /** Empty for proto 2. */
  syntax: string;
}

export interface MessageDescriptor {
  name: string;
  field: FieldDescriptor[];
  nestedType: MessageDescriptor[];
  enumType: EnumDescriptor[];
  options?: { mapEntry: boolean };
}

export interface FieldDescriptor {
  name: string;
  number: number;
  /** 3 is repeated. */
  label: number;
  /** See `SCALARS`; 11 is a message, 14 an enum. */
  type: number;
  /** `.package.Name` of a message or enum. */
  typeName: string;
  options?: { packed?: boolean };
  oneofIndex?: number;
}

export interface EnumDescriptor {
  name: string;
  value: { name: string; number: number }[];
}

export interface ServiceDescriptor {
  name: string;
  method: {
    name: string;
    inputType: string;
    outputType: string;
    clientStreaming: boolean;
    serverStreaming: boolean;
  }[];
}

const DESCRIPTOR_TABLE: ProtobufTable = {
  messages: {
    File: "1:name:string 2:package:string 4:messageType:*Message 5:enumType:*Enum 6:service:*Service 12:syntax:string",
    Message: "1:name:string 2:field:*Field 3:nestedType:*Message 4:enumType:*Enum 7:options:MessageOptions",
    MessageOptions: "7:mapEntry:bool",
    Field:
      "1:name:string 3:number:int32 4:label:int32 5:type:int32 6:typeName:string 8:options:FieldOptions 9:oneofIndex:?int32",
    FieldOptions: "2:packed:?bool",
    Enum: "1:name:string 2:value:*EnumValue",
    EnumValue: "1:name:string 2:number:int32",
    Service: "1:name:string 2:method:*Method",
    Method: "1:name:string 2:inputType:string 3:outputType:string 5:clientStreaming:bool 6:serverStreaming:bool",
  },
};

/** The scalar types by FieldDescriptorProto's number. */
export const SCALARS: Readonly<Record<number, string>> = {
  1: "double",
  2: "float",
  3: "int64",
  4: "uint64",
  5: "int32",
  6: "fixed64",
  7: "fixed32",
  8: "bool",
  9: "string",
  12: "bytes",
  13: "uint32",
  15: "sfixed32",
  16: "sfixed64",
  17: "sint32",
  18: "sint64",
};

const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0]);
const GZIP_HEADER_BYTES = 10;
/** More than any descriptor's compressed size. */
const WINDOW_BYTES = 1 << 20;

/**
 * Finds the file descriptors in a Go program: protoc-gen-go and gogo embed each as a gzip member, so every place that looks
 * like one is tried.
 */
export function findDescriptors(program: Buffer): FileDescriptor[] {
  const codec = protobufCodec<{ File: FileDescriptor }>(DESCRIPTOR_TABLE);
  const files = new Map<string, FileDescriptor>();
  for (let at = program.indexOf(GZIP_HEADER); at >= 0; at = program.indexOf(GZIP_HEADER, at + 1)) {
    const start = at + GZIP_HEADER_BYTES;
    let file: FileDescriptor;
    try {
      file = codec.decode("File", zlib.inflateRawSync(program.subarray(start, start + WINDOW_BYTES)));
    } catch {
      continue; // no gzip member, or something else compressed
    }
    if (file.name.endsWith(".proto")) files.set(`${file.package}/${file.name}`, file);
  }
  return [...files.values()].toSorted((a, b) => (a.package + a.name < b.package + b.name ? -1 : 1));
}
