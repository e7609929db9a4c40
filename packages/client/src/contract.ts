import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { kinds, statusOf, type Kind, type KubeObject, type StatusError } from "@skerry/machinery";
import type { ConfigMap, Deployment, Event, Pod } from "@skerry/machinery/types";
import type { Client, EncodedList, Patch, WatchEvent, WatchOptions } from "./client.ts";

/** An API with clients of the implementation under test. */
export interface ClientsUnderTest extends AsyncDisposable {
  /** One that may do everything. */
  client: Client;
  /** One of a user without any rights. */
  stranger: Client;
  /** Makes the API forget the history of all kinds. */
  compact(): Promise<void>;
}

const NOBODY_ASKS_SO_LONG_MS = 10_000;

/** What every client of a whole Kubernetes API does alike. Tests share one API and have a namespace each. */
export function clientContract(name: string, make: () => Promise<ClientsUnderTest>): void {
  describe(`${name} as a client`, () => {
    let api: ClientsUnderTest;
    let count = 0;
    before(async () => (api = await make()));
    after(() => api[Symbol.asyncDispose]());

    /** The client and a namespace that is this test's own. */
    const scene = async (): Promise<{ client: Client; namespace: string }> => {
      const namespace = `contract-${++count}`;
      await api.client.create(kinds.Namespace, { metadata: { name: namespace } } as never);
      return { client: api.client, namespace };
    };

    describe("create() and get()", () => {
      it("answer with the object as it was stored, frozen, bytes and all", async () => {
        const { client, namespace } = await scene();
        const made = await client.create(kinds.ConfigMap, configMap(namespace, "a", { k: "ä" }));
        const got = await client.get(kinds.ConfigMap, { namespace, name: "a" });
        assert.deepEqual(got.decode(), made.decode());
        assert.deepEqual(got.key, { namespace, name: "a" });
        assert.equal(got.revision, made.decode().metadata.resourceVersion);
        assert.deepEqual(JSON.parse(Buffer.from(got.bytes).toString()), got.decode());
        const { apiVersion, kind, metadata, data } = got.decode();
        assert.deepEqual([apiVersion, kind, data], ["v1", "ConfigMap", { k: "ä" }]);
        assert.match(metadata.uid ?? "", /^[0-9a-f-]{36}$/);
        assert.throws(() => void ((got.decode().data ?? {})["k"] = "b"), TypeError);
      });

      it("make up a name from generateName", async () => {
        const { client, namespace } = await scene();
        const object = { metadata: { namespace, generateName: "some-" } } as ConfigMap;
        const names = await Promise.all(
          [1, 2].map(async () => (await client.create(kinds.ConfigMap, object)).key.name),
        );
        assert.notEqual(names[0], names[1]);
        for (const each of names) assert.match(each, /^some-[a-z0-9]{5}$/);
      });

      it("tell which object is not there, or is there already", async () => {
        const { client, namespace } = await scene();
        const missing = await failureOf(client.get(kinds.Deployment, { namespace, name: "a" }));
        assert.deepEqual(brief(missing), [404, "NotFound", 'deployments.apps "a" not found']);
        assert.deepEqual(missing.details, { name: "a", group: "apps", kind: "deployments" });
        await client.create(kinds.ConfigMap, configMap(namespace, "a"));
        const taken = await failureOf(client.create(kinds.ConfigMap, configMap(namespace, "a")));
        assert.deepEqual(brief(taken), [409, "AlreadyExists", 'configmaps "a" already exists']);
        assert.deepEqual(taken.details, { name: "a", kind: "configmaps" });
        const elsewhere = await failureOf(client.create(kinds.ConfigMap, configMap("not-there", "a")));
        assert.deepEqual(brief(elsewhere), [404, "NotFound", 'namespaces "not-there" not found']);
      });

      it("say what is wrong with an object, field by field", async () => {
        const { client, namespace } = await scene();
        const wrong = await failureOf(client.create(kinds.ConfigMap, configMap(namespace, "a", { "b/c": "" })));
        assert.deepEqual([wrong.code, wrong.reason, wrong.details?.kind], [422, "Invalid", "ConfigMap"]);
        assert.deepEqual(
          wrong.details?.causes?.map(({ reason, field }) => [reason, field]),
          [["FieldValueInvalid", "data[b/c]"]],
        );
      });

      it("do nothing but answer in a dry run", async () => {
        const { client, namespace } = await scene();
        const made = await client.create(kinds.ConfigMap, configMap(namespace, "a"), { dryRun: true });
        assert.notEqual(made.decode().metadata.uid, undefined);
        assert.equal((await failureOf(client.get(kinds.ConfigMap, { namespace, name: "a" }))).code, 404);
      });

      it("refuse an object that is too large alike, and take one that is nearly so", async () => {
        const { client, namespace } = await scene();
        await client.create(kinds.Event, eventOf(namespace, "near", 2 << 20));
        const over = await failureOf(client.create(kinds.Event, eventOf(namespace, "over", 4 << 20)));
        assert.deepEqual([over.code, over.reason], [413, "RequestEntityTooLarge"]);
      });
    });

    describe("update()", () => {
      it("replaces the object that was read, and conflicts with a change since", async () => {
        const { client, namespace } = await scene();
        const made = (await client.create(kinds.ConfigMap, configMap(namespace, "a", { k: "1" }))).decode();
        const second = (await client.update(kinds.ConfigMap, { ...made, data: { k: "2" } })).decode();
        assert.deepEqual([second.data, second.metadata.uid], [{ k: "2" }, made.metadata.uid]);
        const stale = await failureOf(client.update(kinds.ConfigMap, { ...made, data: { k: "3" } }));
        assert.deepEqual(brief(stale), [
          409,
          "Conflict",
          'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
        ]);
        assert.deepEqual(stale.details, { name: "a", kind: "configmaps" });
      });

      it("changes the status apart from the rest", async () => {
        const { client, namespace } = await scene();
        const made = (await client.create(kinds.Deployment, deployment(namespace, "a"))).decode();
        const changed = { ...made, spec: { ...made.spec, replicas: 7 }, status: { replicas: 3 } } as Deployment;
        const written = (await client.update(kinds.Deployment, changed, { subresource: "status" })).decode();
        assert.deepEqual([written.spec?.replicas, written.status?.replicas], [2, 3]);
        assert.equal(written.metadata.generation, made.metadata.generation);
      });

      it("scales by the scale, and answers with it", async () => {
        const { client, namespace } = await scene();
        await client.create(kinds.Deployment, deployment(namespace, "a"));
        const scale = {
          apiVersion: "autoscaling/v1",
          kind: "Scale",
          metadata: { namespace, name: "a" },
          spec: { replicas: 5 },
        };
        const answer = await client.update(kinds.Deployment, scale as never, { subresource: "scale" });
        assert.equal((answer.decode() as KubeObject).kind, "Scale");
        assert.equal((await client.get(kinds.Deployment, { namespace, name: "a" })).decode().spec?.replicas, 5);
      });
    });

    describe("patch()", () => {
      const patched = async (patch: Patch, object?: Deployment): Promise<Deployment> => {
        const { client, namespace } = await scene();
        await client.create(kinds.Deployment, object ?? deployment(namespace, "a"));
        return (await client.patch(kinds.Deployment, { namespace, name: "a" }, patch)).decode();
      };
      const containers = (of: Deployment): (string | undefined)[] =>
        (of.spec?.template?.spec?.containers ?? []).map(({ name: container, image }) => `${container}=${image}`);

      it("takes a JSON patch, and says when its test fails", async () => {
        const done = await patched({
          type: "json-patch+json",
          body: [
            { op: "test", path: "/spec/replicas", value: 2 },
            { op: "replace", path: "/spec/replicas", value: 3 },
          ],
        });
        assert.equal(done.spec?.replicas, 3);
        const { client, namespace } = await scene();
        await client.create(kinds.ConfigMap, configMap(namespace, "a", { k: "1" }));
        const body = [{ op: "test", path: "/data/k", value: "2" }];
        const patch = { type: "json-patch+json", body } as const;
        const failure = await failureOf(client.patch(kinds.ConfigMap, { namespace, name: "a" }, patch));
        assert.deepEqual([failure.code, failure.reason], [422, "Invalid"]);
      });

      it("takes a merge patch, which replaces lists", async () => {
        const body = { spec: { template: { spec: { containers: [{ name: "other", image: "o:1" }] } } } };
        assert.deepEqual(containers(await patched({ type: "merge-patch+json", body })), ["other=o:1"]);
      });

      it("takes a strategic merge patch, which merges lists by their key", async () => {
        const body = { spec: { template: { spec: { containers: [{ name: "other", image: "o:1" }] } } } };
        const done = await patched({ type: "strategic-merge-patch+json", body });
        assert.deepEqual(new Set(containers(done)), new Set(["main=example/web:1", "other=o:1"]));
      });

      it("applies, conflicts with another manager's fields, and takes them over by force", async () => {
        const { client, namespace } = await scene();
        const key = { namespace, name: "a" };
        const applied = (replicas: number, force?: boolean): Patch => ({
          type: "apply-patch+yaml",
          body: { ...deployment(namespace, "a"), spec: { ...deployment(namespace, "a").spec, replicas } },
          ...(force !== undefined && { force }),
        });
        const made = await client.patch(kinds.Deployment, key, applied(1), { fieldManager: "one" });
        assert.equal(made.decode().spec?.replicas, 1);
        const failure = await failureOf(client.patch(kinds.Deployment, key, applied(2), { fieldManager: "two" }));
        assert.deepEqual([failure.code, failure.reason], [409, "Conflict"]);
        assert.deepEqual(
          failure.details?.causes?.map(({ reason, field }) => [reason, field]),
          [["FieldManagerConflict", ".spec.replicas"]],
        );
        const forced = await client.patch(kinds.Deployment, key, applied(2, true), { fieldManager: "two" });
        assert.equal(forced.decode().spec?.replicas, 2);
      });

      it("conflicts when it names another revision or uid than the object's", async () => {
        const { client, namespace } = await scene();
        const made = (await client.create(kinds.ConfigMap, configMap(namespace, "a"))).decode();
        await client.update(kinds.ConfigMap, { ...made, data: { k: "2" } });
        for (const metadata of [
          { resourceVersion: made.metadata.resourceVersion },
          { uid: "00000000-0000-0000-0000-000000000000" },
        ]) {
          const patch = { type: "merge-patch+json", body: { metadata, data: { k: "3" } } } as const;
          const failure = await failureOf(client.patch(kinds.ConfigMap, { namespace, name: "a" }, patch));
          assert.deepEqual([failure.code, failure.reason], [409, "Conflict"]);
        }
      });
    });

    describe("binding", () => {
      it("binds a pod to a node once", async () => {
        const { client, namespace } = await scene();
        await client.create(kinds.Pod, pod(namespace, "p"));
        const bind = (node: string): Promise<unknown> =>
          client.create(
            kinds.Pod,
            {
              apiVersion: "v1",
              kind: "Binding",
              metadata: { namespace, name: "p" },
              target: { apiVersion: "v1", kind: "Node", name: node },
            } as never,
            { subresource: "binding" },
          );
        await bind("n1");
        assert.equal((await client.get(kinds.Pod, { namespace, name: "p" })).decode().spec?.nodeName, "n1");
        const again = await failureOf(bind("n2"));
        assert.deepEqual([again.code, again.reason], [409, "Conflict"]);
      });
    });

    describe("delete()", () => {
      it("removes the object, and says so when it is not there", async () => {
        const { client, namespace } = await scene();
        const key = { namespace, name: "a" };
        await client.create(kinds.ConfigMap, configMap(namespace, "a"));
        await client.delete(kinds.ConfigMap, key, { dryRun: true });
        await client.delete(kinds.ConfigMap, key);
        assert.equal((await failureOf(client.get(kinds.ConfigMap, key))).code, 404);
        assert.deepEqual(brief(await failureOf(client.delete(kinds.ConfigMap, key))).slice(0, 2), [404, "NotFound"]);
      });

      it("holds to its preconditions", async () => {
        const { client, namespace } = await scene();
        const key = { namespace, name: "a" };
        const made = await client.create(kinds.ConfigMap, configMap(namespace, "a"));
        for (const preconditions of [{ uid: "00000000-0000-0000-0000-000000000000" }, { resourceVersion: "1" }]) {
          const failure = await failureOf(client.delete(kinds.ConfigMap, key, { preconditions }));
          assert.deepEqual([failure.code, failure.reason], [409, "Conflict"]);
        }
        const { uid = "", resourceVersion = "" } = made.decode().metadata;
        await client.delete(kinds.ConfigMap, key, { preconditions: { uid, resourceVersion } });
      });

      it("gives a bound pod its grace period, or as long as is said, or none", async () => {
        const { client, namespace } = await scene();
        const key = { namespace, name: "p" };
        const bound = { ...pod(namespace, "p"), spec: { ...pod(namespace, "p").spec, nodeName: "n1" } } as Pod;
        await client.create(kinds.Pod, bound);
        await client.delete(kinds.Pod, key, { gracePeriodSeconds: 7 });
        const going = (await client.get(kinds.Pod, key)).decode().metadata;
        assert.equal(going.deletionGracePeriodSeconds, 7);
        assert.notEqual(going.deletionTimestamp, undefined);
        await client.delete(kinds.Pod, key, { gracePeriodSeconds: 0 });
        assert.equal((await failureOf(client.get(kinds.Pod, key))).code, 404);
      });

      it("leaves a mark for whoever carries out the propagation", async () => {
        const { client, namespace } = await scene();
        for (const [propagationPolicy, finalizer] of [
          ["Foreground", "foregroundDeletion"],
          ["Orphan", "orphan"],
        ] as const) {
          const key = { namespace, name: propagationPolicy.toLowerCase() };
          await client.create(kinds.ConfigMap, configMap(namespace, key.name));
          await client.delete(kinds.ConfigMap, key, { propagationPolicy });
          assert.deepEqual((await client.get(kinds.ConfigMap, key)).decode().metadata.finalizers, [finalizer]);
        }
      });
    });

    describe("list()", () => {
      it("selects by namespace, labels and fields", async () => {
        const { client, namespace } = await scene();
        for (const tier of ["web", "db"]) {
          const object = configMap(namespace, tier);
          await client.create(kinds.ConfigMap, {
            ...object,
            metadata: { ...object.metadata, labels: { tier, own: namespace } },
          });
        }
        const names = async (selection: object): Promise<string[]> =>
          (await client.list(kinds.ConfigMap, selection)).items.map((item) => item.key.name);
        assert.deepEqual(await names({ namespace }), ["db", "web"]);
        assert.deepEqual(await names({ labelSelector: `tier in (web,x),own=${namespace}` }), ["web"]);
        assert.deepEqual(await names({ namespace, labelSelector: "tier!=web" }), ["db"]);
        assert.deepEqual(await names({ namespace, fieldSelector: "metadata.name=db" }), ["db"]);
        const wrong = await failureOf(client.list(kinds.ConfigMap, { labelSelector: "a in" }));
        assert.deepEqual([wrong.code, wrong.reason], [400, "BadRequest"]);
      });

      it("comes in pages of one snapshot", async () => {
        const { client, namespace } = await scene();
        for (const each of ["a", "b", "c", "d", "e"]) await client.create(kinds.ConfigMap, configMap(namespace, each));
        const first = await client.list(kinds.ConfigMap, { namespace, limit: 2 });
        assert.ok(first.continue);
        await client.create(kinds.ConfigMap, configMap(namespace, "c2"));
        const names = first.items.map((item) => item.key.name);
        const revisions = new Set([first.revision]);
        for (let next: string | undefined = first.continue; next !== undefined;) {
          const page: EncodedList<ConfigMap> = await client.list(kinds.ConfigMap, {
            namespace,
            limit: 2,
            continue: next,
          });
          names.push(...page.items.map((item) => item.key.name));
          revisions.add(page.revision);
          next = page.continue;
        }
        assert.deepEqual(names, ["a", "b", "c", "d", "e"]);
        assert.equal(revisions.size, 1);
        for (const item of first.items) assert.equal(item.decode().kind, "ConfigMap");
      });

      it("refuses a page whose snapshot is forgotten, with a token to go on from", async () => {
        const { client, namespace } = await scene();
        for (const each of ["a", "b", "c"]) await client.create(kinds.ConfigMap, configMap(namespace, each));
        const first = await client.list(kinds.ConfigMap, { namespace, limit: 1 });
        await client.create(kinds.ConfigMap, configMap(namespace, "d"));
        await api.compact();
        const failure = await failureOf(client.list(kinds.ConfigMap, { namespace, continue: first.continue ?? "" }));
        assert.deepEqual([failure.code, failure.reason], [410, "Expired"]);
        const rest = await client.list(kinds.ConfigMap, { namespace, continue: failure.continueToken ?? "" });
        assert.deepEqual(
          rest.items.map((item) => item.key.name),
          ["b", "c", "d"],
        );
      });
    });

    describe("watch()", () => {
      it("tells of changes in order, from a revision on, and from there again", async () => {
        const { client, namespace } = await scene();
        const from = (await client.list(kinds.ConfigMap, { namespace })).revision;
        const made = (await client.create(kinds.ConfigMap, configMap(namespace, "a"))).decode();
        await client.update(kinds.ConfigMap, { ...made, data: { k: "2" } });
        await client.delete(kinds.ConfigMap, { namespace, name: "a" });
        const events = await taken(client, kinds.ConfigMap, { namespace, resourceVersion: from }, 3);
        assert.deepEqual(events.map(told), ["ADDED a", "MODIFIED a", "DELETED a"]);
        const revisions = events.map((event) => BigInt(event.type === "BOOKMARK" ? 0 : event.object.revision));
        assert.deepEqual(
          revisions,
          revisions.toSorted((a, b) => Number(a - b)),
        );
        const again = await taken(client, kinds.ConfigMap, { namespace, resourceVersion: String(revisions[0]) }, 2);
        assert.deepEqual(again.map(told), ["MODIFIED a", "DELETED a"]);
      });

      it("begins with what there is when no revision is given, and ends that with a bookmark when asked to", async () => {
        const { client, namespace } = await scene();
        await client.create(kinds.ConfigMap, configMap(namespace, "a"));
        assert.deepEqual((await taken(client, kinds.ConfigMap, { namespace }, 1)).map(told), ["ADDED a"]);
        const events = await taken(client, kinds.ConfigMap, { namespace, sendInitialEvents: true }, 2);
        assert.deepEqual(events.map(told), ["ADDED a", "BOOKMARK end"]);
        assert.ok(events[1]?.type === "BOOKMARK" && BigInt(events[1].revision) > 0n);
      });

      it("says DELETED of what no longer matches", async () => {
        const { client, namespace } = await scene();
        const from = (await client.list(kinds.ConfigMap, { namespace })).revision;
        const object = configMap(namespace, "a");
        const labelled = (at: string): ConfigMap => ({ ...object, metadata: { ...object.metadata, labels: { at } } });
        await client.create(kinds.ConfigMap, labelled("here"));
        await client.update(kinds.ConfigMap, labelled("there"));
        await client.update(kinds.ConfigMap, labelled("here"));
        const options = { namespace, resourceVersion: from, labelSelector: "at=here" };
        const events = await taken(client, kinds.ConfigMap, options, 3);
        assert.deepEqual(events.map(told), ["ADDED a", "DELETED a", "ADDED a"]);
      });

      it("is refused as expired where history is forgotten", async () => {
        const { client, namespace } = await scene();
        const from = (await client.list(kinds.ConfigMap, { namespace })).revision;
        await client.create(kinds.ConfigMap, configMap(namespace, "a"));
        await client.create(kinds.ConfigMap, configMap(namespace, "b"));
        await api.compact();
        const failure = await failureOf(taken(client, kinds.ConfigMap, { namespace, resourceVersion: from }, 1));
        assert.deepEqual([failure.code, failure.reason], [410, "Expired"]);
      });

      it("ends without a failure when its signal aborts, before or in the middle", async () => {
        const { client, namespace } = await scene();
        for await (const _ of client.watch(kinds.ConfigMap, { namespace, signal: AbortSignal.abort() }))
          assert.fail("it told something");
        await client.create(kinds.ConfigMap, configMap(namespace, "a"));
        const stop = new AbortController();
        const seen: string[] = [];
        for await (const event of client.watch(kinds.ConfigMap, { namespace, signal: stop.signal })) {
          seen.push(told(event));
          setImmediate(() => stop.abort());
        }
        assert.deepEqual(seen, ["ADDED a"]);
      });
    });

    it("refuses a user without rights alike, whatever he asks", async () => {
      const { namespace } = await scene();
      const key = { namespace, name: "a" };
      const { stranger } = api;
      const asked: [verb: string, request: () => Promise<unknown>][] = [
        ["get", () => stranger.get(kinds.ConfigMap, key)],
        ["list", () => stranger.list(kinds.ConfigMap, { namespace })],
        ["watch", () => taken(stranger, kinds.ConfigMap, { namespace }, 1)],
        ["create", () => stranger.create(kinds.ConfigMap, configMap(namespace, "a"))],
        ["update", () => stranger.update(kinds.ConfigMap, configMap(namespace, "a"))],
        ["patch", () => stranger.patch(kinds.ConfigMap, key, { type: "merge-patch+json", body: {} })],
        ["delete", () => stranger.delete(kinds.ConfigMap, key)],
      ];
      for (const [verb, request] of asked) {
        const failure = await failureOf(request());
        const named = ["get", "update", "patch", "delete"].includes(verb);
        const subject = named ? 'configmaps "a"' : "configmaps";
        assert.deepEqual(brief(failure), [
          403,
          "Forbidden",
          `${subject} is forbidden: User "stranger" cannot ${verb} resource "configmaps" in API group "" in the namespace "${namespace}"`,
        ]);
        assert.deepEqual(failure.details, { ...(named && { name: "a" }), kind: "configmaps" });
      }
    });

    it("rejects with the reason of a signal that aborts, and does nothing", async () => {
      const { client, namespace } = await scene();
      const why = new Error("not wanted any more");
      const signal = AbortSignal.abort(why);
      const key = { namespace, name: "a" };
      const requests = [
        () => client.get(kinds.ConfigMap, key, { signal }),
        () => client.list(kinds.ConfigMap, { namespace, signal }),
        () => client.create(kinds.ConfigMap, configMap(namespace, "a"), { signal }),
        () => client.update(kinds.ConfigMap, configMap(namespace, "a"), { signal }),
        () => client.patch(kinds.ConfigMap, key, { type: "merge-patch+json", body: {} }, { signal }),
        () => client.delete(kinds.ConfigMap, key, { signal }),
      ];
      for (const request of requests) await assert.rejects(request(), (error) => error === why);
      assert.deepEqual((await client.list(kinds.ConfigMap, { namespace })).items, []);
    });
  });
}

const configMap = (namespace: string, name: string, data: Record<string, string> = {}): ConfigMap =>
  ({ metadata: { namespace, name }, data }) as ConfigMap;

/** An object of a kind that sets itself no bound below the API's. */
const eventOf = (namespace: string, name: string, bytes: number): Event => ({
  metadata: { namespace, name },
  involvedObject: { namespace, name, fieldPath: "x".repeat(bytes) },
  reason: "Large",
});

const container = { name: "main", image: "example/web:1" };

const pod = (namespace: string, name: string): Pod =>
  ({ metadata: { namespace, name }, spec: { containers: [container] } }) as Pod;

const deployment = (namespace: string, name: string): Deployment =>
  ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace, name },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [container] } },
    },
  }) as unknown as Deployment;

const brief = ({ code, reason, message }: StatusError): unknown[] => [code, reason, message];

const told = (event: WatchEvent): string =>
  event.type === "BOOKMARK"
    ? `BOOKMARK${event.initialEventsEnd ? " end" : ""}`
    : `${event.type} ${event.object.key.name}`;

async function failureOf(request: Promise<unknown>): Promise<StatusError> {
  try {
    await request;
  } catch (error) {
    const status = statusOf(error);
    if (status) return status;
    throw error;
  }
  return assert.fail("it was answered");
}

/** The next so many events of a watch, which is ended then. */
async function taken<T extends KubeObject>(
  client: Client,
  kind: Kind<T>,
  options: Omit<WatchOptions, "signal">,
  count: number,
): Promise<WatchEvent<T>[]> {
  const events: WatchEvent<T>[] = [];
  const limit = AbortSignal.timeout(NOBODY_ASKS_SO_LONG_MS);
  for await (const event of client.watch(kind, { ...options, signal: limit })) {
    events.push(event);
    if (events.length === count) return events;
  }
  return assert.fail(`it ended after ${events.length} of ${count} events`);
}
