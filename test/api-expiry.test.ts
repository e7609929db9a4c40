import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Expiry } from "@skerry/apiserver";
import { kinds } from "@skerry/machinery";
import { objectOf, registryWorld, type RegistryWorld } from "./registry-world.ts";

const MINUTE_MS = 60_000;

const record = (world: RegistryWorld, name: string) =>
  world.client.create(
    kinds.Event,
    objectOf(kinds.Event, name, { involvedObject: { kind: "Pod", name: "p", namespace: "default" } }) as never,
  );

const namesOf = async (world: RegistryWorld): Promise<string[]> =>
  (await world.client.list(kinds.Event)).items.map(({ key }) => key.name);

describe("Expiry", () => {
  it("removes events that were not written for an hour, and nothing else", async () => {
    await using world = await registryWorld();
    await using expiry = new Expiry({ storage: world.store, clock: world.clock });
    const minutes = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await expiry.sweep();
        world.clock.advance(MINUTE_MS);
      }
      await expiry.sweep();
    };
    await world.client.create(kinds.ConfigMap, objectOf(kinds.ConfigMap, "stays") as never);
    await record(world, "old");
    await record(world, "repeated");
    await minutes(30);
    await record(world, "young");
    await world.client.patch(
      kinds.Event,
      { namespace: "default", name: "repeated" },
      { type: "merge-patch+json", body: { count: 2 } },
    );
    await minutes(29);
    assert.deepEqual(await namesOf(world), ["old", "repeated", "young"]);
    await minutes(1);
    assert.deepEqual(await namesOf(world), ["repeated", "young"]);
    await minutes(31);
    assert.deepEqual(await namesOf(world), []);
    assert.equal((await world.client.list(kinds.ConfigMap)).items.length, 1);
  });

  it("tells watchers of what it removes", async () => {
    await using world = await registryWorld();
    await using expiry = new Expiry({ storage: world.store, clock: world.clock });
    const created = await record(world, "old");
    await expiry.sweep();
    world.clock.advance(61 * MINUTE_MS);
    await expiry.sweep();
    const stop = new AbortController();
    const { revision } = created;
    for await (const event of world.client.watch(kinds.Event, { resourceVersion: revision, signal: stop.signal })) {
      assert.ok(event.type === "DELETED");
      assert.equal(event.object.decode().metadata.name, "old");
      assert.equal(event.object.decode().metadata.resourceVersion, event.object.revision);
      assert.ok(Number(event.object.revision) > Number(revision));
      break;
    }
  });

  it("goes on by itself until it is disposed of", async () => {
    await using world = await registryWorld();
    const expiry = new Expiry({ storage: world.store, clock: world.clock });
    await record(world, "old");
    expiry.start();
    for (let i = 0; i < 62; i++) {
      await new Promise(setImmediate);
      world.clock.advance(MINUTE_MS);
    }
    while ((await namesOf(world)).length > 0) await new Promise(setImmediate);
    await expiry[Symbol.asyncDispose]();
    assert.equal(world.clock.pending, 0);
  });
});
