import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Entry } from "./entry.ts";
import type { ChangeEvent } from "./port.ts";
import { Watcher, type WatchSource } from "./watcher.ts";
import { Watchers } from "./watchers.ts";

const source: WatchSource = {
  revision: () => 0,
  read: () => ({ events: [], upTo: 0 }),
  join: () => {},
  leave: () => {},
};

/** A watcher that notes in `asked` each time a change is brought to it, wanted or not. */
class NotingWatcher extends Watcher {
  readonly #asked: string[];
  readonly #label: string;

  constructor(asked: string[], label: string, options: { namespace?: string; name?: string }) {
    super(source, { since: 0, signal: new AbortController().signal, ...options }, () => {});
    this.#asked = asked;
    this.#label = label;
  }

  override wants(event: ChangeEvent): boolean {
    this.#asked.push(`wants ${this.#label}`);
    return super.wants(event);
  }

  override offer(event: ChangeEvent): void {
    this.#asked.push(`offer ${this.#label}`);
    super.offer(event);
  }
}

const watcher = (asked: string[], label: string, namespace?: string, name?: string): Watcher =>
  new NotingWatcher(asked, label, {
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
  });

function change(namespace: string, name: string): ChangeEvent {
  const key = { namespace, name };
  return { revision: 1, key, object: new Entry(key, 1, new Uint8Array()), deleted: false, previous: undefined };
}

describe("Watchers", () => {
  it("ask none about a change that does not concern it", () => {
    const asked: string[] = [];
    const watchers = new Watchers();
    for (let n = 0; n < 1000; n++) watchers.add(watcher(asked, `n${n}`, "", `n${n}`));
    for (let n = 0; n < 100; n++) watchers.add(watcher(asked, `ns${n}`, `ns${n}`));
    watchers.add(watcher(asked, "all"));
    watchers.publish(change("", "n7"));
    assert.deepEqual(asked.splice(0), ["offer all", "wants n7", "offer n7"]);
    watchers.publish(change("ns3", "x"));
    assert.deepEqual(asked.splice(0), ["offer all", "offer ns3"]);
    watchers.publish(change("ns3", "n7"));
    assert.deepEqual(asked, ["offer all", "offer ns3", "wants n7"]);
  });

  it("forget those that leave", () => {
    const asked: string[] = [];
    const watchers = new Watchers();
    const some = [
      watcher(asked, "all"),
      watcher(asked, "a", "a"),
      watcher(asked, "a/x", "a", "x"),
      watcher(asked, "x", undefined, "x"),
    ];
    for (const one of some) watchers.add(one);
    assert.equal(watchers.size, 4);
    for (const one of some) watchers.delete(one);
    assert.equal(watchers.size, 0);
    watchers.publish(change("a", "x"));
    assert.deepEqual(asked, []);
  });
});
