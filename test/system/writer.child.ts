import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { HttpsClient } from "@skerry/client";
import { isAlreadyExists, isNotFound, kinds, statusOf, type Kind, type KubeObject } from "@skerry/machinery";
import type { ConfigMap, Deployment, Pod } from "@skerry/machinery/types";
import { deployment, pod, SLEEP } from "./manifests.ts";
import { generator } from "./random.ts";

/**
 * Writes to an API without a pause, whatever becomes of it, until its standard input ends; then compares what is there with what was
 * acknowledged, and prints a `WriterReport`: `node writer.child.ts KUBECONFIG SEED`.
 */
export interface WriterReport {
  acknowledged: number;
  /** Answers that were lost, or that said that the API is not there. */
  retried: number;
  /** Refusals that no write of ours can have earned. */
  refused: string[];
  /** What was acknowledged and is not so. */
  lost: string[];
  pods: string[];
  deployments: Record<string, number>;
}

const [kubeconfig = "", seed = "0"] = process.argv.slice(2);
const random = generator(Number(seed));
const stop = new AbortController();
process.stdin.resume();
void once(process.stdin, "end").then(() => stop.abort());

const { parse } = await import("yaml");
const config = parse(await readFile(kubeconfig, "utf8")) as {
  clusters: { cluster: Record<string, string> }[];
  users: { user: Record<string, string> }[];
};
const pem = (data: string | undefined): string => Buffer.from(data ?? "", "base64").toString("utf8");
const { cluster = {} } = config.clusters[0] ?? {};
const { user = {} } = config.users[0] ?? {};
await using client = new HttpsClient({
  server: cluster["server"] ?? "",
  ca: pem(cluster["certificate-authority-data"]),
  credentials: { certificate: pem(user["client-certificate-data"]), key: pem(user["client-key-data"]) },
  userAgent: "writer",
  timeoutMs: 5_000,
});

const report: WriterReport = { acknowledged: 0, retried: 0, refused: [], lost: [], pods: [], deployments: {} };
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the API has answered. `already` is the answer to one who asks again for what was done the first time. */
async function write(what: string, act: () => Promise<unknown>, already: (error: unknown) => boolean): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await act();
    } catch (error) {
      const isUncertain = tries > 0;
      const code = statusOf(error)?.code ?? 0;
      if (isUncertain && already(error)) break;
      if (code !== 0 && code < 500) {
        report.refused.push(`${what}: ${(error as Error).message}`);
        return;
      }
      report.retried++;
      await pause(20);
      continue;
    }
    break;
  }
  report.acknowledged++;
}

const key = (name: string): { namespace: string; name: string } => ({ namespace: "default", name });
const create = <T extends KubeObject>(kind: Kind<T>, object: T): Promise<void> =>
  write(`create ${kind.kind} ${object.metadata.name}`, () => client.create(kind, object), isAlreadyExists);
const remove = <T extends KubeObject>(kind: Kind<T>, name: string): Promise<void> =>
  write(`delete ${kind.kind} ${name}`, () => client.delete(kind, key(name)), isNotFound);

const configMaps = new Map<string, string>();
async function writeConfigMaps(): Promise<void> {
  for (let n = 0; !stop.signal.aborted; n++) {
    const [some] = [...configMaps.keys()].toSorted(() => random() - 0.5);
    const choice = random();
    if (some === undefined || choice < 0.4) {
      const name = `map-${n}`;
      const object = { apiVersion: "v1", kind: "ConfigMap", metadata: key(name), data: { n: String(n) } } as ConfigMap;
      await create(kinds.ConfigMap, object);
      configMaps.set(name, String(n));
    } else if (choice < 0.7) {
      const patch = { type: "merge-patch+json", body: { data: { n: String(n) } } } as const;
      await write(
        `patch ${some}`,
        () => client.patch(kinds.ConfigMap, key(some), patch),
        () => false,
      );
      configMaps.set(some, String(n));
    } else {
      await remove(kinds.ConfigMap, some);
      configMaps.delete(some);
    }
    await pause(random() * 20);
  }
}

/** Pods at a time, and host ports that they take: each fits one pod. */
const MOST_PODS = 4;
const pods = new Map<string, number>();
async function writePods(): Promise<void> {
  for (let n = 0; !stop.signal.aborted; n++) {
    const [some] = pods.keys();
    if (pods.size >= MOST_PODS || (some !== undefined && random() < 0.4)) {
      await remove(kinds.Pod, some ?? "");
      pods.delete(some ?? "");
    } else {
      const name = `pod-${n}`;
      const hostPort = 20_000 + n;
      await create(kinds.Pod, pod(name, n % 2 === 0 ? { hostPort } : { script: SLEEP }));
      pods.set(name, n);
    }
    await pause(random() * 800);
  }
}

const deployments = new Map<string, number>();
async function writeDeployments(): Promise<void> {
  for (let n = 0; !stop.signal.aborted; n++) {
    const [some] = deployments.keys();
    const replicas = Math.floor(random() * 3);
    if (some === undefined) {
      await create(kinds.Deployment, deployment(`web-${n}`, replicas, { script: SLEEP }));
      deployments.set(`web-${n}`, replicas);
    } else if (random() < 0.7) {
      const patch = { type: "merge-patch+json", body: { spec: { replicas } } } as const;
      await write(
        `scale ${some}`,
        () => client.patch(kinds.Deployment, key(some), patch),
        () => false,
      );
      deployments.set(some, replicas);
    } else {
      await remove(kinds.Deployment, some);
      deployments.delete(some);
    }
    await pause(random() * 1_000);
  }
}

await Promise.all([writeConfigMaps(), writePods(), writeDeployments()]);

/** Says where what is there differs from what was acknowledged. */
function compare<T>(what: string, wanted: ReadonlyMap<string, T>, there: ReadonlyMap<string, T>): void {
  for (const [name, value] of wanted)
    if (there.get(name) !== value)
      report.lost.push(`${what} ${name} is ${String(there.get(name))}, not ${String(value)}`);
  for (const name of there.keys()) if (!wanted.has(name)) report.lost.push(`${what} ${name} was deleted`);
}

const list = async <T extends KubeObject>(kind: Kind<T>): Promise<T[]> =>
  (await client.list(kind, { namespace: "default" })).items.map((each) => each.decode());
const maps = (await list(kinds.ConfigMap)).filter(({ metadata }) => metadata.name?.startsWith("map-"));
compare("ConfigMap", configMaps, new Map(maps.map((each) => [each.metadata.name ?? "", each.data?.["n"] ?? ""])));
const webs: Deployment[] = await list(kinds.Deployment);
compare("Deployment", deployments, new Map(webs.map((each) => [each.metadata.name ?? "", each.spec?.replicas ?? -1])));
const bare: Pod[] = (await list(kinds.Pod)).filter(
  ({ metadata }) => metadata.name?.startsWith("pod-") && metadata.deletionTimestamp === undefined,
);
compare(
  "Pod",
  new Map([...pods.keys()].map((name) => [name, ""])),
  new Map(bare.map((each) => [each.metadata.name ?? "", ""])),
);
report.pods = [...pods.keys()];
report.deployments = Object.fromEntries(deployments);
console.log(JSON.stringify(report));
