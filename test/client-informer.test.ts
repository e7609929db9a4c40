import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { describe, it } from "node:test";
import { keyToPem, toPem, type Logger } from "@skerry/base";
import { eventually, type FakeClock } from "@skerry/base/testing";
import {
  HttpsClient,
  Informer,
  Informers,
  type Client,
  type InformerOptions,
  type WatchEvent,
  type WatchOptions,
} from "@skerry/client";
import { kinds, serviceUnavailable, type Kind, type KubeObject } from "@skerry/machinery";
import type { ConfigMap } from "@skerry/machinery/types";
import { ApiWorld } from "./api-world.ts";
import { registryWorld, type RegistryWorld } from "./registry-world.ts";

/** A client that can be cut off from the API, and that counts what is asked. */
class Cable {
  readonly client: Client;
  readonly signals = new Set<AbortSignal>();
  isCut = false;
  lists = 0;
  watches = 0;
  #cut = Promise.withResolvers<never>();

  constructor(client: Client) {
    this.#cut.promise.catch(() => {}); // told to those who watch
    const list: Client["list"] = async (kind, options) => {
      this.lists += 1;
      if (this.isCut) throw serviceUnavailable("the cable is cut");
      return client.list(kind, options);
    };
    this.client = { ...delegate(client), list, watch: (kind, options) => this.#watch(client, kind, options) };
  }

  cut(): void {
    this.isCut = true;
    this.#cut.reject(serviceUnavailable("the cable is cut"));
  }

  mend(): void {
    this.isCut = false;
    this.#cut = Promise.withResolvers<never>();
    this.#cut.promise.catch(() => {}); // told to those who watch
  }

  async *#watch<T extends KubeObject>(
    client: Client,
    kind: Kind<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    this.watches += 1;
    this.signals.add(options.signal);
    if (this.isCut) throw serviceUnavailable("the cable is cut");
    const stop = new AbortController();
    const onAbort = (): void => stop.abort();
    options.signal.addEventListener("abort", onAbort, { once: true });
    const events = client.watch(kind, { ...options, signal: stop.signal })[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await Promise.race([events.next(), this.#cut.promise]);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      options.signal.removeEventListener("abort", onAbort);
      stop.abort();
    }
  }
}

const delegate = (client: Client): Client => ({
  get: (...args) => client.get(...args),
  list: (...args) => client.list(...args),
  watch: (...args) => client.watch(...args),
  create: (...args) => client.create(...args),
  update: (...args) => client.update(...args),
  patch: (...args) => client.patch(...args),
  delete: (...args) => client.delete(...args),
});

const configMap = (name: string, labels: Record<string, string> = {}): ConfigMap => ({
  metadata: { namespace: "default", name, labels },
});
const keyOf = (name: string): { namespace: string; name: string } => ({ namespace: "default", name });

/** An informer of config maps over a real API, what it told, and what it logged. */
class Scene implements AsyncDisposable {
  readonly world: RegistryWorld;
  readonly cable: Cable;
  readonly informer: Informer<ConfigMap>;
  readonly told: string[] = [];
  readonly logged: string[] = [];

  constructor(world: RegistryWorld, more: Partial<InformerOptions<ConfigMap>> = {}) {
    this.world = world;
    this.cable = new Cable(world.client);
    this.informer = new Informer({
      client: this.cable.client,
      kind: kinds.ConfigMap,
      selection: { namespace: "default" },
      indexes: { tier: (object) => Object.values(object.metadata.labels ?? {}) },
      clock: world.clock,
      random: () => 1,
      log: logTo(this.logged),
      ...more,
    });
    this.informer.onChange(({ name }, current, previous) => {
      this.told.push(`${previous ? "x" : "-"}${current ? "x" : "-"} ${name}`);
    });
  }

  /** Lets time pass until something is so. */
  async until(what: string, check: () => boolean): Promise<void> {
    await eventually(
      () => {
        if (check()) return true;
        this.world.clock.advance(100);
        return false;
      },
      { what, everyMs: 1 },
    );
  }

  tier(value: string): string[] {
    return [...this.informer.byIndex("tier", value)].map((object) => object.key.name).toSorted(byText);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.informer[Symbol.asyncDispose]();
    await this.world[Symbol.asyncDispose]();
  }
}

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

function logTo(lines: string[]): Logger {
  const write = (_fields: object, message: string): void => void lines.push(message);
  return { debug: write, info: write, warn: write, error: write, child: () => logTo(lines) };
}

/** Passes bytes on to a port of this machine, until it is cut. */
class Wire implements AsyncDisposable {
  readonly #server: Server;
  readonly sockets = new Set<Socket>();
  isCut = false;

  constructor(port: number) {
    this.#server = createServer((near) => {
      if (this.isCut) {
        near.destroy();
        return;
      }
      const far = connect(port, "127.0.0.1");
      for (const socket of [near, far]) {
        this.sockets.add(socket);
        socket.on("error", () => {}); // cut, as is the other end then
        socket.once("close", () => {
          this.sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far).pipe(near);
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}

describe("Informer over HTTPS", () => {
  it("goes on after its connection was cut, and leaves no connection when it ends", async () => {
    await using api = await new ApiWorld().start();
    await using wire = new Wire(Number(new URL(api.url).port));
    const server = `https://127.0.0.1:${await wire.listen()}`;
    const { certificate, key } = api.identity("admin", ["system:masters"]);
    const credentials = { certificate: toPem("CERTIFICATE", certificate.raw), key: keyToPem(key) };
    await using client = new HttpsClient({ server, ca: api.ca, credentials, userAgent: "informer/1" });
    const told: string[] = [];
    {
      await using informer = new Informer({ client, kind: kinds.ConfigMap, random: () => 0 });
      informer.onChange(({ name }) => void told.push(name));
      informer.start();
      await informer.synced;
      for (const name of ["a", "b", "c"]) {
        wire.cut();
        await api.client().create(kinds.ConfigMap, configMap(name));
        wire.isCut = false;
        await eventually(() => told.includes(name), { what: `${name} to be told` });
      }
      assert.deepEqual(told, ["a", "b", "c"]);
    }
    await client[Symbol.asyncDispose]();
    await eventually(() => wire.sockets.size === 0, { what: "the connections to end" });
  });
});

describe("Informer", () => {
  it("has what there is once synced, follows changes, and keeps its indexes", async () => {
    await using scene = new Scene(await registryWorld());
    const { client } = scene.world;
    await client.create(kinds.ConfigMap, configMap("a", { tier: "web" }));
    scene.informer.start();
    await scene.informer.synced;
    assert.deepEqual([scene.informer.size, scene.tier("web")], [1, ["a"]]);
    await client.create(kinds.ConfigMap, configMap("b", { tier: "web", zone: "web" }));
    await client.update(kinds.ConfigMap, configMap("a", { tier: "db" }));
    await scene.until("both changes", () => scene.told.length === 3);
    assert.deepEqual([scene.tier("web"), scene.tier("db")], [["b"], ["a"]]);
    await client.delete(kinds.ConfigMap, keyOf("b"));
    await scene.until("the delete", () => scene.told.length === 4);
    assert.deepEqual(scene.tier("web"), []);
    assert.deepEqual(scene.told, ["-x a", "-x b", "xx a", "x- b"]);
    scene.informer.addIndex("name", (object) => [object.metadata.name ?? ""]);
    assert.equal([...scene.informer.byIndex("name", "a")].length, 1);
    assert.throws(() => [...scene.informer.byIndex("color", "red")], /has no index "color"/);
  });

  it("waits for an API that is away at first", async () => {
    await using scene = new Scene(await registryWorld());
    scene.cable.cut();
    scene.informer.start();
    await scene.until("several tries", () => scene.cable.lists >= 4);
    assert.equal(scene.informer.isSynced, false);
    scene.cable.mend();
    await scene.until("the first list", () => scene.informer.isSynced);
    assert.equal(scene.cable.lists, 5);
  });

  it("goes on from where it was after a break, without listing again", async () => {
    await using scene = new Scene(await registryWorld());
    const { client } = scene.world;
    await client.create(kinds.ConfigMap, configMap("a"));
    scene.informer.start();
    await scene.informer.synced;
    scene.cable.cut();
    await client.create(kinds.ConfigMap, configMap("b"));
    scene.cable.mend();
    await scene.until("the change", () => scene.told.length === 2);
    assert.deepEqual(scene.told, ["-x a", "-x b"]);
    assert.equal(scene.cable.lists, 1);
  });

  it("tells only what differs after it had to list again", async () => {
    await using scene = new Scene(await registryWorld());
    const { client, store } = scene.world;
    for (const name of ["stays", "changes", "goes", "replaced"]) await client.create(kinds.ConfigMap, configMap(name));
    scene.informer.start();
    await scene.informer.synced;
    scene.told.length = 0;
    const before = scene.informer.get(keyOf("replaced"))?.decode().metadata.uid;
    scene.cable.cut();
    await client.update(kinds.ConfigMap, configMap("changes", { tier: "web" }));
    await client.delete(kinds.ConfigMap, keyOf("goes"));
    await client.delete(kinds.ConfigMap, keyOf("replaced"));
    await client.create(kinds.ConfigMap, configMap("replaced"));
    await client.create(kinds.ConfigMap, configMap("comes"));
    await store.compact(store.revision);
    scene.cable.mend();
    await scene.until("the second list", () => scene.told.length === 4);
    assert.deepEqual(scene.told.toSorted(byText), ["-x comes", "x- goes", "xx changes", "xx replaced"]);
    assert.deepEqual(scene.tier("web"), ["changes"]);
    assert.notEqual(scene.informer.get(keyOf("replaced"))?.decode().metadata.uid, before);
    assert.equal(scene.cable.lists, 2);
  });

  it("doesn't ask in a loop when each watch is refused as expired", async () => {
    await using scene = new Scene(await registryWorld());
    const { client, store, clock } = scene.world;
    const watch: Client["watch"] = (kind, options) => client.watch(kind, { ...options, resourceVersion: "1" });
    await client.create(kinds.ConfigMap, configMap("a"));
    await store.compact(store.revision);
    let lists = 0;
    const list: Client["list"] = (kind, options) => {
      lists += 1;
      return client.list(kind, options);
    };
    const options = { kind: kinds.ConfigMap, clock, random: () => 1 };
    await using informer = new Informer({ ...options, client: { ...delegate(client), watch, list } });
    informer.start();
    await informer.synced;
    const begun = clock.monotonic();
    await scene.until("some more lists", () => lists >= 5);
    assert.ok(clock.monotonic() - begun >= 200 + 400 + 800 + 1600 - 400, "it waited longer and longer");
  });

  it("goes on when a handler or an index fails, and tells the other handlers", async () => {
    const failing = (object: ConfigMap): string[] => {
      if (object.metadata.name === "bad") throw new Error("no");
      return ["fine"];
    };
    await using scene = new Scene(await registryWorld(), { indexes: { failing } });
    const { client } = scene.world;
    scene.informer.onChange(() => {
      throw new Error("a handler's own");
    });
    const told: string[] = [];
    scene.informer.onChange(({ name }) => void told.push(name));
    scene.informer.start();
    await scene.informer.synced;
    for (const name of ["bad", "good"]) await client.create(kinds.ConfigMap, configMap(name));
    await scene.until("both", () => told.length === 2);
    assert.deepEqual(
      [told, scene.told],
      [
        ["bad", "good"],
        ["-x bad", "-x good"],
      ],
    );
    assert.deepEqual([...scene.informer.byIndex("failing", "fine")].length, 1);
    assert.deepEqual(new Set(scene.logged), new Set(["change handler failed", "index failed"]));
    assert.deepEqual([scene.cable.lists, scene.cable.watches], [1, 1]);
  });

  it("says how far it has come", async () => {
    await using scene = new Scene(await registryWorld());
    const { client } = scene.world;
    assert.equal(scene.informer.hasReached("1"), false);
    scene.informer.start();
    await scene.informer.synced;
    scene.cable.cut();
    const { revision } = await client.create(kinds.ConfigMap, configMap("a"));
    assert.equal(scene.informer.hasReached(revision), false);
    assert.equal(scene.informer.hasReached("1"), true);
    const reached: boolean[] = [];
    scene.informer.onChange(() => void reached.push(scene.informer.hasReached(revision)));
    scene.cable.mend();
    await scene.until("the change", () => reached.length === 1);
    assert.deepEqual(reached, [true]);
  });

  it("leaves nothing behind, however often it is started anew or its watch breaks", async () => {
    await using world = await registryWorld();
    const cable = new Cable(world.client);
    for (let round = 0; round < 30; round++) {
      await using informers = new Informers({ client: cable.client, clock: world.clock });
      const informer = informers.of(kinds.ConfigMap);
      assert.equal(informers.of(kinds.ConfigMap), informer);
      informers.start();
      await informers.synced();
      const before = cable.watches;
      cable.cut();
      cable.mend();
      await eventually(
        () => {
          world.clock.advance(50);
          return cable.watches > before;
        },
        { everyMs: 1 },
      );
    }
    await settle(world.clock);
    for (const signal of cable.signals) assert.equal(getEventListeners(signal, "abort").length, 0);
  });
});

/** All timers that a part has forgotten to cancel would still be pending. */
async function settle(clock: FakeClock): Promise<void> {
  await eventually(() => clock.pending === 0, { what: "no timer to be left" });
}
