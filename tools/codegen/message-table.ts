import type { ProtobufTable } from "@skerry/base";
import {
  SCALARS,
  type EnumDescriptor,
  type FieldDescriptor,
  type FileDescriptor,
  type MessageDescriptor,
} from "./descriptors.ts";

export interface MessageTableOptions {
  /** What a message or enum is called in the table, of its full name without the leading dot. */
  nameOf(fullName: string): string;
  /** What a field is called, of its name in the descriptor. */
  fieldNameOf(name: string): string;
  /** Leaves fields of these types out, when what they hold is of no use. */
  skip?(fullName: string): boolean;
}

interface Found {
  fullName: string;
  message: MessageDescriptor;
  proto3: boolean;
}

/** Makes the table of all messages in `files`, as `ProtobufTable` describes it. */
export function messageTable(files: readonly FileDescriptor[], options: MessageTableOptions): ProtobufTable {
  const found = new Map<string, Found>();
  const enums: Record<string, string> = {};
  const taken = new Map<string, string>();

  const take = (fullName: string): string => {
    const name = options.nameOf(fullName);
    const other = taken.get(name);
    if (other !== undefined) throw new Error(`Cannot name ${fullName} ${name}: so is ${other}`);
    taken.set(name, fullName);
    return name;
  };
  const addEnum = (scope: string, { name, value }: EnumDescriptor): void => {
    enums[take(`${scope}.${name}`)] = value.map((entry) => `${entry.number}:${entry.name}`).join(" ");
  };
  const addMessage = (scope: string, message: MessageDescriptor, proto3: boolean): void => {
    const fullName = `${scope}.${message.name}`;
    found.set(fullName, { fullName, message, proto3 });
    for (const inner of message.nestedType) addMessage(fullName, inner, proto3);
    for (const inner of message.enumType) addEnum(fullName, inner);
  };
  for (const file of files) {
    for (const message of file.messageType) addMessage(file.package, message, file.syntax === "proto3");
    for (const inner of file.enumType) addEnum(file.package, inner);
  }

  const isMapEntry = (fullName: string): boolean => found.get(fullName)?.message.options?.mapEntry === true;
  const typeOf = ({ type, typeName }: FieldDescriptor): string => {
    const scalar = SCALARS[type];
    return scalar ?? options.nameOf(typeName.slice(1));
  };
  const fieldOf = (field: FieldDescriptor, proto3: boolean): string => {
    const entry = found.get(field.typeName.slice(1));
    if (entry !== undefined && isMapEntry(entry.fullName)) {
      const [key, value] = entry.message.field;
      if (key === undefined || value === undefined) throw new Error(`${entry.fullName} has no key and value`);
      return `{${typeOf(key)},${typeOf(value)}}`;
    }
    if (field.label === 3) {
      const packable = field.type !== 9 && field.type !== 11 && field.type !== 12;
      return (packable && (field.options?.packed ?? proto3) ? "+" : "*") + typeOf(field);
    }
    return (proto3 && field.oneofIndex !== undefined && field.type !== 11 ? "?" : "") + typeOf(field);
  };

  const messages: Record<string, string> = {};
  for (const { fullName, message, proto3 } of found.values()) {
    if (isMapEntry(fullName)) continue;
    messages[take(fullName)] = message.field
      .filter((field) => !(options.skip?.(field.typeName.slice(1)) ?? false))
      .toSorted((a, b) => a.number - b.number)
      .map((field) => `${field.number}:${options.fieldNameOf(field.name)}:${fieldOf(field, proto3)}`)
      .join(" ");
  }

  const services: Record<string, Record<string, string>> = {};
  for (const file of files) {
    for (const service of file.service) {
      services[`${file.package}.${service.name}`] = Object.fromEntries(
        service.method.map((method) => [
          method.name,
          `${method.clientStreaming ? "*" : ""}${options.nameOf(method.inputType.slice(1))} ` +
            `${method.serverStreaming ? "*" : ""}${options.nameOf(method.outputType.slice(1))}`,
        ]),
      );
    }
  }
  return { messages: sorted(messages), enums: sorted(enums), services };
}

export const sorted = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));

/** `pod_sandbox_id` → `podSandboxId`: proto 3's JSON names. */
export const camelCase = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
