import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { isAlreadyExists, isNotFound, kinds, type KubeObject } from "@skerry/machinery";
import { objectOf, registryWorld, type RegistryWorld } from "./registry-world.ts";

interface Act {
  name: string;
  do: "create" | "label" | "delete";
  app: string;
}

const acts = fc.array(
  fc.record({
    name: fc.constantFrom("a", "b", "c", "d"),
    do: fc.constantFrom("create", "label", "delete"),
    app: fc.constantFrom("web", "db"),
  }),
  { maxLength: 60 },
);

async function perform(world: RegistryWorld, act: Act): Promise<void> {
  const key = { namespace: "default", name: act.name };
  const object = objectOf(kinds.ConfigMap, act.name);
  object.metadata.labels = { app: act.app };
  try {
    if (act.do === "create") await world.client.create(kinds.ConfigMap, object as never);
    else if (act.do === "delete") await world.client.delete(kinds.ConfigMap, key);
    else {
      const body = { metadata: { labels: { app: act.app } } };
      await world.client.patch(kinds.ConfigMap, key, { type: "merge-patch+json", body });
    }
  } catch (error) {
    // Whether there was anything to change is chance.
    if (!isAlreadyExists(error) && !isNotFound(error)) throw error;
  }
}

/** Follows a watch until it has seen a revision, keeping what it tells as an informer does. */
async function follow(world: RegistryWorld, since: string, until: number, signal: AbortSignal): Promise<string[]> {
  const held = new Map<string, KubeObject>();
  let last = 0;
  const options = { namespace: "default", labelSelector: "app=web", resourceVersion: since, signal };
  for await (const event of world.client.watch(kinds.ConfigMap, options)) {
    if (event.type === "BOOKMARK") continue;
    const { key, revision } = event.object;
    assert.ok(Number(revision) > last, "events come in the order of revisions");
    last = Number(revision);
    if (event.type === "DELETED") assert.ok(held.delete(key.name), `${key.name} was there before it went`);
    else {
      assert.equal(
        held.has(key.name),
        event.type === "MODIFIED",
        `${event.type} of ${key.name} fits what was told before`,
      );
      held.set(key.name, event.object.decode());
    }
    if (last >= until) break;
  }
  return [...held].map(([name, { metadata }]) => `${name}@${metadata.resourceVersion}`).toSorted();
}

it("whoever follows a watch by a selector holds what a list shows, whenever it began", async () => {
  await fc.assert(
    fc.asyncProperty(acts, acts, async (before, after) => {
      await using world = await registryWorld();
      const start = String(world.store.revision);
      for (const act of before) await perform(world, act);
      await Promise.all(after.map((act) => perform(world, act)));
      // The last word is about an object that matches, so that every watcher hears of it.
      const last = await world.client.create(kinds.ConfigMap, {
        metadata: { name: "z", namespace: "default", labels: { app: "web" } },
      });
      const stop = new AbortController();
      const seen = await follow(world, start, Number(last.revision), stop.signal);
      const { items } = await world.client.list(kinds.ConfigMap, { namespace: "default", labelSelector: "app=web" });
      assert.deepEqual(seen, items.map(({ key, revision }) => `${key.name}@${revision}`).toSorted());
    }),
    { numRuns: 40 },
  );
});
