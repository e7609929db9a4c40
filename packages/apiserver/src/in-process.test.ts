import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kinds, statusOf, type Encoded, type KubeObject } from "@skerry/machinery";
import type { Api, Resource } from "./api.ts";
import type { Attributes } from "./auth/authorizer.ts";
import { inProcessClient } from "./in-process.ts";
import { Detached } from "./registry/encoding.ts";
import type { RequestContext } from "./request.ts";

const pods: Resource = {
  kind: kinds.Pod,
  verbs: ["get", "list", "create", "update"],
  subresources: [{ name: "status", verbs: ["get", "update"] }],
  columns: [],
  hasStatus: true,
};
const stored: Encoded = new Detached<KubeObject>({ metadata: { name: "p", namespace: "x" } });
const USER = { name: "jane", groups: ["dev"] };

/** A client of an API that notes its contexts, and of an authorizer that notes what it is asked. */
function clientOf(allowed = true) {
  const asked: Attributes[] = [];
  const contexts: RequestContext[] = [];
  const noting = (context: RequestContext): Promise<Encoded> => {
    contexts.push(context);
    return Promise.resolve(stored);
  };
  const api = {
    find: (_group: string, _version: string, resource: string) => (resource === "pods" ? pods : undefined),
    get: noting,
    create: noting,
    update: async (context: RequestContext) => ({ object: await noting(context), created: false }),
    list: async (context: RequestContext) => ({ revision: "1", items: [await noting(context)] }),
  } as unknown as Api;
  const authorizer = {
    authorize: (_user: unknown, attributes: Attributes) => {
      asked.push(attributes);
      return { allowed, reason: "" };
    },
  };
  return { client: inProcessClient({ api, authorizer, user: USER }), asked, contexts };
}

const failureOf = (request: Promise<unknown>) =>
  request.then(
    () => assert.fail("it was answered"),
    (error: unknown) => statusOf(error),
  );

describe("inProcessClient()", () => {
  it("asks for permission as a request over HTTP would", async () => {
    const { client, asked } = clientOf();
    await client.get(kinds.Pod, { namespace: "x", name: "p" });
    await client.list(kinds.Pod, { namespace: "x", fieldSelector: "metadata.name=p" });
    await client.create(kinds.Pod, { metadata: { name: "p", namespace: "x" } } as never);
    await client.update(kinds.Pod, { metadata: { name: "p", namespace: "x" } } as never, { subresource: "status" });
    const rest = { group: "", version: "v1", resource: "pods", namespace: "x" };
    assert.deepEqual(asked, [
      { verb: "get", ...rest, subresource: "", name: "p" },
      { verb: "list", ...rest, subresource: "", name: "p" },
      { verb: "create", ...rest, subresource: "", name: "" },
      { verb: "update", ...rest, subresource: "status", name: "p" },
    ]);
  });

  it("refuses what the user may not do, and says so as over HTTP", async () => {
    const { client, contexts } = clientOf(false);
    const failure = await failureOf(client.get(kinds.Pod, { namespace: "x", name: "p" }));
    assert.equal(failure?.code, 403);
    assert.equal(
      failure.message,
      'pods "p" is forbidden: User "jane" cannot get resource "pods" in API group "" in the namespace "x"',
    );
    assert.deepEqual(contexts, []);
  });

  it("asks again before a change that makes the object", async () => {
    const { client, asked, contexts } = clientOf();
    await client.update(kinds.Pod, { metadata: { name: "p", namespace: "x" } } as never);
    assert.equal(asked.length, 1);
    contexts[0]?.authorizeCreate?.();
    const rest = { group: "", version: "v1", resource: "pods", namespace: "x", subresource: "", name: "p" };
    assert.deepEqual(asked[1], { verb: "create", ...rest });
  });

  it("doesn't find kinds that aren't served", async () => {
    const { client } = clientOf();
    const failure = await failureOf(client.get(kinds.Lease, { namespace: "x", name: "l" }));
    assert.deepEqual([failure?.code, failure?.message], [404, "the server could not find the requested resource"]);
  });

  it("writes in the user's name unless told otherwise", async () => {
    const { client, contexts } = clientOf();
    const object = { metadata: { name: "p", namespace: "x" } } as never;
    await client.create(kinds.Pod, object);
    await client.create(kinds.Pod, object, { fieldManager: "scheduler", dryRun: true });
    assert.deepEqual(
      contexts.map(({ user, fieldManager, dryRun }) => [user, fieldManager, dryRun]),
      [
        [USER, "jane", false],
        [USER, "scheduler", true],
      ],
    );
  });

  it("does nothing for an aborted request", async () => {
    const { client, contexts } = clientOf();
    const signal = AbortSignal.abort(new Error("gone"));
    await assert.rejects(client.get(kinds.Pod, { namespace: "x", name: "p" }, { signal }), /gone/);
    assert.deepEqual(contexts, []);
  });
});
