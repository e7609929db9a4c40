import type { Encoded, KubeObject } from "@skerry/machinery";

import type { ChangeEvent, ObjectStorage, Watch } from "./port.ts";

/** The smallest object there is, for tests. */
export interface Thing extends KubeObject {
  spec: { value: number };
}

export const PODS = "pods";

export const encodeThing =
  (namespace: string, name: string, value: number) =>
  (revision: number): Uint8Array =>
    Buffer.from(
      JSON.stringify({
        apiVersion: "v1",
        kind: "Thing",
        metadata: { name, namespace, resourceVersion: String(revision) },
        spec: { value },
      }),
    );

/** Puts `namespace/name`, expecting what is there. Resolves to its revision. */
export async function put(storage: ObjectStorage, id: string, value = 0, resource = PODS): Promise<number> {
  const [namespace = "", name = ""] = id.split("/");
  const key = { namespace, name };
  const expect = Number(storage.get(resource, key)?.revision ?? 0);
  const written = await storage.write({ resource, key, expect, encode: encodeThing(namespace, name, value) });
  return Number(written.revision);
}

export async function remove(storage: ObjectStorage, id: string, resource = PODS): Promise<number> {
  const [namespace = "", name = ""] = id.split("/");
  const key = { namespace, name };
  const expect = Number(storage.get(resource, key)?.revision ?? 0);
  const encode = encodeThing(namespace, name, -1);
  return Number((await storage.write({ resource, key, expect, encode, delete: true })).revision);
}

/** The next `count` events. */
export async function take(watch: Watch, count: number): Promise<ChangeEvent[]> {
  const events: ChangeEvent[] = [];
  const iterator = watch[Symbol.asyncIterator]();
  while (events.length < count) {
    const { done, value } = await iterator.next();
    if (done) break;
    events.push(value);
  }
  return events;
}

export const idsOf = (items: readonly Encoded[]): string[] => items.map(({ key }) => `${key.namespace}/${key.name}`);
export const valueOf = (object: Encoded | undefined): number | undefined =>
  (object as Encoded<Thing> | undefined)?.decode().spec.value;
export const brief = ({ revision, key, deleted, object, previous }: ChangeEvent): object => ({
  revision,
  id: `${key.namespace}/${key.name}`,
  deleted,
  value: valueOf(object),
  previous: valueOf(previous),
});
