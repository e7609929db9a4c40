import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WatchEvent, WatchOptions } from "@skerry/client";
import { kinds, statusOf, type StatusError } from "@skerry/machinery";
import { objectOf, registryWorld, type RegistryWorld } from "./registry-world.ts";

const IN_DEFAULT = { namespace: "default" };
const at = (name: string) => ({ namespace: "default", name });

async function failureOf(request: Promise<unknown>): Promise<StatusError> {
  const status = statusOf(
    await request.then(
      () => undefined,
      (failure: unknown) => failure,
    ),
  );
  assert.ok(status, "a StatusError");
  return status;
}

const put = (world: RegistryWorld, name: string, labels: Record<string, string> = {}) => {
  const object = objectOf(kinds.ConfigMap, name);
  object.metadata.labels = labels;
  return world.client.create(kinds.ConfigMap, object as never);
};

const relabel = (world: RegistryWorld, name: string, labels: Record<string, string | null>) =>
  world.client.patch(kinds.ConfigMap, at(name), { type: "merge-patch+json", body: { metadata: { labels } } });

/** A watch that notes what it sees as `ADDED a@5`, and what a test waits for. */
class Watching implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly events: WatchEvent[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<unknown>;
  #wake: () => void = () => undefined;

  constructor(world: RegistryWorld, options: Omit<WatchOptions, "signal">) {
    this.#done = this.#read(world, options).catch((error: unknown) => error);
  }

  async #read(world: RegistryWorld, options: Omit<WatchOptions, "signal">): Promise<void> {
    const events = world.client.watch(kinds.ConfigMap, { ...options, signal: this.#stop.signal });
    for await (const event of events) {
      this.events.push(event);
      this.seen.push(
        event.type === "BOOKMARK"
          ? `BOOKMARK @${event.revision}${event.initialEventsEnd ? " end" : ""}`
          : `${event.type} ${event.object.key.name}@${event.object.revision}`,
      );
      this.#wake();
    }
  }

  /** Resolves once so many events were seen. */
  async until(count: number): Promise<string[]> {
    while (this.seen.length < count) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.seen;
  }

  /** What the watch ended with. */
  get end(): Promise<unknown> {
    return this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

describe("Registry.list()", () => {
  it("gives pages of one state, whatever is written meanwhile", async () => {
    await using world = await registryWorld();
    for (const name of ["a", "b", "c", "d", "e"]) await put(world, name);
    const first = await world.api.list(world.context(), world.resource(kinds.ConfigMap), { ...IN_DEFAULT, limit: 2 });
    assert.deepEqual([first.items.map(({ key }) => key.name), first.remaining], [["a", "b"], 3]);
    await world.client.delete(kinds.ConfigMap, at("c"));
    await put(world, "ca");
    const names: string[] = [];
    let page = await world.client.list(kinds.ConfigMap, { ...IN_DEFAULT, limit: 2, continue: first.continue ?? "" });
    for (;;) {
      assert.equal(page.revision, first.revision);
      names.push(...page.items.map(({ key }) => key.name));
      if (!page.continue) break;
      page = await world.client.list(kinds.ConfigMap, { ...IN_DEFAULT, limit: 2, continue: page.continue });
    }
    assert.deepEqual(names, ["c", "d", "e"]);
  });

  it("offers an inconsistent rest when a page's revision is no longer kept", async () => {
    await using world = await registryWorld();
    for (const name of ["a", "b", "c"]) await put(world, name);
    const first = await world.client.list(kinds.ConfigMap, { ...IN_DEFAULT, limit: 1 });
    await put(world, "bb");
    await world.store.compact(world.store.revision);
    const failure = await failureOf(
      world.client.list(kinds.ConfigMap, { ...IN_DEFAULT, limit: 5, continue: first.continue ?? "" }),
    );
    assert.deepEqual([failure.code, failure.reason], [410, "Expired"]);
    assert.match(failure.message, /^The provided continue parameter is too old to display a consistent list result/);
    assert.ok(failure.continueToken);
    const rest = await world.client.list(kinds.ConfigMap, { ...IN_DEFAULT, continue: failure.continueToken });
    assert.deepEqual(
      rest.items.map(({ key }) => key.name),
      ["b", "bb", "c"],
    );
    assert.equal(rest.revision, String(world.store.revision));
  });

  it("doesn't say how many remain of a selection", async () => {
    await using world = await registryWorld();
    for (const name of ["a", "b", "c"]) await put(world, name, { x: name === "b" ? "0" : "1" });
    const options = { ...IN_DEFAULT, labelSelector: "x=1", limit: 1 };
    const first = await world.api.list(world.context(), world.resource(kinds.ConfigMap), options);
    assert.deepEqual([first.items.map(({ key }) => key.name), first.remaining], [["a"], undefined]);
    const second = await world.client.list(kinds.ConfigMap, { ...options, continue: first.continue ?? "" });
    assert.deepEqual([second.items.map(({ key }) => key.name), second.continue], [["c"], undefined]);
  });

  it("selects by name, and by the fields that the kind offers", async () => {
    await using world = await registryWorld();
    const spec = { containers: [{ name: "c", image: "i" }] };
    await world.client.create(kinds.Pod, objectOf(kinds.Pod, "p", { spec: { ...spec, nodeName: "n" } }) as never);
    await world.client.create(kinds.Pod, objectOf(kinds.Pod, "q", { spec }) as never);
    const names = async (fieldSelector: string) =>
      (await world.client.list(kinds.Pod, { fieldSelector })).items.map(({ key }) => key.name);
    assert.deepEqual(await names("spec.nodeName=n"), ["p"]);
    assert.deepEqual(await names("spec.nodeName="), ["q"]);
    assert.deepEqual(await names("metadata.name=q,metadata.namespace=default"), ["q"]);
    assert.deepEqual(await names("status.phase!=Pending"), []);
    const failure = await failureOf(names("spec.foo=1"));
    assert.deepEqual([failure.code, failure.message], [400, "field label not supported: spec.foo"]);
  });

  it("shows an exact revision, and refuses one that is to come", async () => {
    await using world = await registryWorld();
    const { revision } = await put(world, "a");
    await put(world, "b");
    const exact = { ...IN_DEFAULT, resourceVersion: revision, resourceVersionMatch: "Exact" } as const;
    const then = await world.client.list(kinds.ConfigMap, exact);
    assert.deepEqual([then.items.map(({ key }) => key.name), then.revision], [["a"], revision]);
    const since = await world.client.list(kinds.ConfigMap, { ...exact, resourceVersionMatch: "NotOlderThan" });
    assert.deepEqual(
      since.items.map(({ key }) => key.name),
      ["a", "b"],
    );

    const waiting = failureOf(world.client.list(kinds.ConfigMap, { resourceVersion: "1000" }));
    for (let i = 0; i < 70; i++) {
      world.clock.advance(50);
      await new Promise(setImmediate);
    }
    const failure = await waiting;
    assert.deepEqual(
      [failure.code, failure.message, failure.details?.causes?.[0]?.reason, failure.retryAfterSeconds],
      [
        504,
        `Timeout: Too large resource version: 1000, current: ${world.store.revision}`,
        "ResourceVersionTooLarge",
        1,
      ],
    );
  });

  for (const [what, options, message] of [
    [
      "a match without a revision",
      { resourceVersionMatch: "Exact" },
      /is forbidden unless resourceVersion is provided/,
    ],
    [
      "exactly any revision",
      { resourceVersion: "0", resourceVersionMatch: "Exact" },
      /forbidden for resourceVersion "0"/,
    ],
    ["a revision that is no number", { resourceVersion: "x" }, /^invalid resource version "x"/],
    ["a token that is none", { continue: "nonsense" }, /^continue key is not valid/],
    [
      "a token of a revision that is not there",
      { continue: Buffer.from('{"v":"meta.k8s.io/v1","rv":999999,"start":"default/a\\u0000"}').toString("base64url") },
      /^The provided continue parameter is of a revision that is not there/,
    ],
    ["a selector that is none", { labelSelector: "a in" }, /unable to parse requirement/],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await using world = await registryWorld();
      assert.match((await failureOf(world.client.list(kinds.ConfigMap, options))).message, message);
    });
  }
});

describe("Registry.watch()", () => {
  it("begins with what there is", async () => {
    await using world = await registryWorld();
    await put(world, "a");
    await using watching = new Watching(world, IN_DEFAULT);
    await watching.until(1);
    await put(world, "b");
    await relabel(world, "a", { x: "1" });
    await world.client.delete(kinds.ConfigMap, at("b"));
    assert.deepEqual(await watching.until(4), ["ADDED a@5", "ADDED b@6", "MODIFIED a@7", "DELETED b@8"]);
  });

  it("goes on from a revision", async () => {
    await using world = await registryWorld();
    const { revision } = await put(world, "a");
    await put(world, "b");
    await using watching = new Watching(world, { ...IN_DEFAULT, resourceVersion: revision });
    assert.deepEqual(await watching.until(1), ["ADDED b@6"]);
  });

  it("tells when it has told what there is", async () => {
    await using world = await registryWorld();
    await put(world, "a");
    await using watching = new Watching(world, { ...IN_DEFAULT, sendInitialEvents: true });
    assert.deepEqual(await watching.until(2), ["ADDED a@5", "BOOKMARK @5 end"]);
  });

  it("deletes what stops to match, as it was, under the revision of the change", async () => {
    await using world = await registryWorld();
    await put(world, "a", { app: "web" });
    await using watching = new Watching(world, { ...IN_DEFAULT, labelSelector: "app=web" });
    await watching.until(1);
    await put(world, "other");
    await relabel(world, "a", { app: "db" });
    await relabel(world, "a", { more: "1" });
    await relabel(world, "a", { app: "web" });
    assert.deepEqual(await watching.until(3), ["ADDED a@5", "DELETED a@7", "ADDED a@9"]);
    const [, gone] = watching.events;
    assert.ok(gone?.type === "DELETED");
    const { metadata } = gone.object.decode();
    assert.deepEqual([metadata.labels, metadata.resourceVersion], [{ app: "web" }, "7"]);
    assert.deepEqual(JSON.parse(Buffer.from(gone.object.bytes).toString()), gone.object.decode());
  });

  it("hands one encoding to all who watch", async () => {
    await using world = await registryWorld();
    const options = { ...IN_DEFAULT, labelSelector: "app=web" };
    await put(world, "a", { app: "web" });
    await using one = new Watching(world, options);
    await using other = new Watching(world, options);
    await Promise.all([one.until(1), other.until(1)]);
    await relabel(world, "a", { app: null });
    await Promise.all([one.until(2), other.until(2)]);
    const [a, b] = [one.events[1], other.events[1]];
    assert.ok(a?.type === "DELETED" && b?.type === "DELETED");
    assert.equal(a.object.bytes, b.object.bytes);
  });

  it("bookmarks its revision about every minute, though nothing matches", async () => {
    await using world = await registryWorld();
    await using watching = new Watching(world, { ...IN_DEFAULT, labelSelector: "app=web", sendInitialEvents: true });
    await watching.until(1);
    for (let i = 0; i < 4; i++) {
      await put(world, `other-${i}`);
      world.clock.advance(20_000);
      await new Promise(setImmediate);
    }
    const seen = await watching.until(2);
    assert.match(seen[1] ?? "", /^BOOKMARK @[78]$/);
  });

  it("ends without error when its reader does, with a change under way or not", async () => {
    await using world = await registryWorld();
    const stop = new AbortController();
    for await (const event of world.client.watch(kinds.Namespace, { signal: stop.signal, sendInitialEvents: true })) {
      if (event.type === "BOOKMARK") break;
    }
    const aborted = new Watching(world, IN_DEFAULT);
    await aborted[Symbol.asyncDispose]();
    assert.equal(await aborted.end, undefined);
    assert.equal(world.clock.pending, 0);
  });

  it("says that a revision is no longer kept", async () => {
    await using world = await registryWorld();
    for (const name of ["a", "b", "c"]) await put(world, name);
    await world.store.compact(world.store.revision);
    await using watching = new Watching(world, { ...IN_DEFAULT, resourceVersion: "2" });
    const failure = statusOf(await watching.end);
    assert.deepEqual([failure?.code, failure?.reason], [410, "Expired"]);
    assert.match(failure?.message ?? "", /^too old resource version: 2 \(\d+\)$/);
  });
});
