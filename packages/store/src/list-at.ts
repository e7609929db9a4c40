import { CompactedError, type ObjectKey } from "@skerry/machinery";

import { idOf, type Collection } from "./collection.ts";
import type { CommitLog } from "./commit-log.ts";
import { Entry } from "./entry.ts";
import type { Range } from "./objects.ts";
import type { ObjectList } from "./port.ts";

/** How far a list goes back at most: what it may cost the thread it runs on. */
const MOST_REVISIONS = 100_000;

interface Former {
  key: ObjectKey;
  /** What the object was; `undefined` when it did not exist. Read from the medium only when the page holds it. */
  entry: () => Entry | undefined;
  existed: boolean;
}

/** The objects of a resource as they were at an earlier revision: as they are now, with the changes since undone. */
export function listAt(
  collection: Collection,
  log: CommitLog,
  at: number,
  { range, limit, compacted }: { range: Range; limit: number; compacted: number },
): ObjectList {
  const { resource, ring, volatile } = collection;
  const oldest = Math.max(volatile ? ring.floor : compacted, ring.floor - MOST_REVISIONS);
  if (at < oldest) {
    throw new CompactedError(
      `Cannot list ${resource} at revision ${at}: history is kept from revision ${oldest}`,
      oldest,
    );
  }
  const formers = new Map<string, Former>();
  const add = (key: ObjectKey, existed: boolean, entry: () => Entry | undefined): void => {
    const id = idOf(key);
    // The first change after the revision says what was there at it.
    if (!formers.has(id) && inRange(key, range)) formers.set(id, { key, existed, entry });
  };
  if (at < ring.floor) {
    for (const { namespace, name, revision } of log.keysBefore(resource, at, ring.floor)) {
      const key = { namespace, name };
      add(key, revision > 0, () => {
        const bytes = log.bytes(revision);
        return bytes && new Entry(key, revision, bytes);
      });
    }
  }
  for (const { key, previous } of ring.after(Math.max(at, ring.floor)))
    add(key, previous !== undefined, () => previous as Entry);

  const all: Former[] = collection.objects
    .page(range)
    .items.filter((entry) => !formers.has(idOf(entry.key)))
    .map((entry) => ({ key: entry.key, existed: true, entry: () => entry }));
  for (const former of formers.values()) if (former.existed) all.push(former);
  if (formers.size > 0) all.sort((a, b) => compareKeys(a.key, b.key));
  const items = all.slice(0, limit).flatMap(({ entry }) => entry() ?? []);
  return { revision: at, items, remaining: Math.max(0, all.length - limit) };
}

function inRange(key: ObjectKey, { namespace, after }: Range): boolean {
  return (namespace === undefined || key.namespace === namespace) && (!after || compareKeys(key, after) > 0);
}

function compareKeys(a: ObjectKey, b: ObjectKey): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}
