import { FakeClock } from "@skerry/base/testing";
import {
  bootstrap,
  defaultAdmission,
  inProcessClient,
  Registry,
  type RegistryOptions,
  type RequestContext,
  type Resource,
} from "@skerry/apiserver";
import type { Client } from "@skerry/client";
import type { Kind, KubeObject } from "@skerry/machinery";
import { MemoryLog, type CommitLog, type Store } from "@skerry/store";
import { StrictStore } from "@skerry/store/testing";

/** A registry over the real store, and a client of it that may do everything. Time stands still until the test moves it. */
export interface RegistryWorld extends AsyncDisposable {
  store: Store;
  api: Registry;
  client: Client;
  clock: FakeClock;
  /** What the client was warned of. */
  warnings: string[];
  /** A context as a request over HTTP has it. */
  context(more?: Partial<RequestContext>): RequestContext;
  resource(kind: Kind): Resource;
}

export const ALLOW_ALL = { authorize: () => ({ allowed: true, reason: "" }) };
const NO_ESCALATION = { checkEscalation: () => undefined, checkBinding: () => undefined };

export async function registryWorld(
  log: CommitLog = new MemoryLog(),
  more: Partial<RegistryOptions> = {},
): Promise<RegistryWorld> {
  const clock = new FakeClock();
  const store = new StrictStore({ log });
  await store.start();
  const api = new Registry({ storage: store, admission: defaultAdmission(store, NO_ESCALATION), clock, ...more });
  const warnings: string[] = [];
  const user = { name: "tester", groups: [] };
  const client = inProcessClient({ api, authorizer: ALLOW_ALL, user, warn: (text) => warnings.push(text) });
  await bootstrap(client);
  return {
    store,
    api,
    client,
    clock,
    warnings,
    context: (more) => ({
      user,
      fieldManager: "tester",
      dryRun: false,
      fieldValidation: "Strict",
      warn: (text) => warnings.push(text),
      signal: new AbortController().signal,
      ...more,
    }),
    resource: ({ group, version, resource }) => {
      const found = api.find(group, version, resource);
      if (!found) throw new Error(`${resource} is not served`);
      return found;
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** An object as a client would write it. */
export const objectOf = (kind: Kind, name: string, more: object = {}): KubeObject => ({
  apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`,
  kind: kind.kind,
  metadata: { name, ...(kind.namespaced && { namespace: "default" }) },
  ...more,
});
