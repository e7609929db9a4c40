import type { ObjectKey } from "@skerry/machinery";

import type { Entry } from "./entry.ts";
import { Ring } from "./history.ts";
import { Objects } from "./objects.ts";
import { Watchers } from "./watchers.ts";

/** A write that has its revision and its bytes and is not published yet. */
export interface PendingWrite {
  collection: Collection;
  entry: Entry;
  deleted: boolean;
  /** The revision of what it replaces; 0 for none. */
  previous: number;
  settled: PromiseWithResolvers<Entry>;
}

/** All that memory holds of one resource. */
export class Collection {
  readonly resource: string;
  readonly volatile: boolean;
  readonly objects = new Objects();
  readonly watchers = new Watchers();
  readonly ring: Ring;
  /** The newest write of each key that is on its way. */
  readonly heads = new Map<string, PendingWrite>();
  /** The revision of the newest published change since the store was opened. */
  changed = 0;

  constructor(resource: string, volatile: boolean, opened: number) {
    this.resource = resource;
    this.volatile = volatile;
    this.ring = new Ring(opened);
  }

  /** The revision that the next write of a key must expect: 0 when there is no such object, or when its deletion is on its way. */
  headRevision(key: ObjectKey): number {
    const pending = this.heads.get(idOf(key));
    if (pending) return pending.deleted ? 0 : pending.entry.at;
    return this.objects.get(key)?.at ?? 0;
  }

  expectHead(write: PendingWrite): void {
    this.heads.set(idOf(write.entry.key), write);
  }

  forgetHead(write: PendingWrite): void {
    const id = idOf(write.entry.key);
    if (this.heads.get(id) === write) this.heads.delete(id);
  }
}

/** A key as one string; namespaces hold no slash. */
export const idOf = ({ namespace, name }: ObjectKey): string => `${namespace}/${name}`;
