import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { readAccess } from "../packages/cli/src/instance/kubeconfig.ts";
import { API_PORT, benchFolder, Cloud } from "./cloud.ts";
import { Load } from "./load.ts";
import { machine } from "./machine.ts";
import { atLeast, atMost, noted, percentile, type Row } from "./row.ts";

const QUIET_MS = 15_000;

/** The control plane as users run it: a process of its own, TLS, the whole pipeline, every commit flushed. The load comes from this process. */
export async function api(): Promise<Row[]> {
  await using folder = await benchFolder();
  const dir = folder.path;
  const rows: Row[] = [];
  await (await Cloud.start(dir)).stop(); // certificates and compiled code, once: a first start is measured as pod-start's `up`
  const cloud = await Cloud.start(dir);
  rows.push(atMost("cold start to /readyz, empty", cloud.startMs / 1000, "s", 1));
  await setTimeout(QUIET_MS);
  rows.push(atMost("idle RSS, empty", await cloud.rssMb(), "MB", 120));
  const access = await readAccess(path.join(dir, "etc/kubeconfig"));
  rows.push(...(await machine(dir, access)));
  const load = new Load(access, API_PORT);

  const single: number[] = [];
  for (let i = 0; i < 1_000; i++) single.push(await load.timed("POST", CONFIG_MAPS, configMap(`single-${i}`), 201));
  rows.push(atMost("create, one client, durable, p50", percentile(single, 0.5), "ms", 1));
  rows.push(atMost("create, one client, durable, p99", percentile(single, 0.99), "ms", 5));

  await load.parallel(32, 500, (i) => load.timed("POST", PODS, pod(`warm-${i}`), 201));
  const started = performance.now();
  const many = await load.parallel(32, 5_000, (i) => load.timed("POST", PODS, pod(`pod-${i}`), 201));
  rows.push(atLeast("create pods, 32 clients, TLS", (many.length / (performance.now() - started)) * 1000, "/s", 3_000));
  rows.push(atMost("create pods, 32 clients, TLS, p99", percentile(many, 0.99), "ms", 25));

  const lists: number[] = [];
  for (let i = 0; i < 30; i++) lists.push(await load.timed("GET", `${PODS}?limit=5000`, undefined, 200));
  rows.push(noted("list 5,000 pods, p50", percentile(lists, 0.5), "ms"));
  rows.push(atMost("list 5,000 pods, p99", percentile(lists, 0.99), "ms", 60));

  const delays = await watchDelays(load);
  rows.push(atMost("write to watch event, 100 watchers, 500 writes/s, p99", percentile(delays, 0.99), "ms", 20));
  rows.push(noted("write to watch event, p50", percentile(delays, 0.5), "ms"));

  await setTimeout(QUIET_MS);
  rows.push(noted("RSS after the load", await cloud.rssMb(), "MB"));
  await cloud.stop();

  const again = await Cloud.start(dir);
  await setTimeout(QUIET_MS);
  rows.push(atMost("idle RSS, 5,500 pods and 1,000 ConfigMaps", await again.rssMb(), "MB", 160));
  await load.parallel(32, 3_500, (i) => load.timed("POST", CONFIG_MAPS, configMap(`more-${i}`), 201));
  await again.stop();
  const full = await Cloud.start(dir);
  rows.push(atMost("cold start to /readyz, 10,000 objects", full.startMs / 1000, "s", 3));
  await full.stop();
  load.close();
  return rows;
}

const PODS = "/api/v1/namespaces/default/pods";
const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";

const configMap = (name: string): object => ({ metadata: { name }, data: { text: "x".repeat(200) } });

/** As applied by a user; bound to no node, so that it stays as it is. */
const pod = (name: string): object => ({
  metadata: { name, labels: { app: "bench", tier: "edge" } },
  spec: {
    schedulerName: "nobody",
    containers: [
      {
        name: "main",
        image: "registry.example/team/service:1.2.3",
        args: ["--listen=:8080", "--log-level=info"],
        env: [{ name: "MODE", value: "production" }],
        ports: [{ name: "http", containerPort: 8080 }],
        resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { memory: "64Mi" } },
        volumeMounts: [{ name: "data", mountPath: "/data" }],
      },
    ],
    volumes: [{ name: "data", emptyDir: {} }],
  },
});

/** A hundred watchers of the ConfigMaps see each write of 500 a second: how long after its answer each event arrives at each of them. */
async function watchDelays(load: Load): Promise<number[]> {
  const sent = new Map<string, number>();
  const delays: number[] = [];
  const stop = new AbortController();
  const watches = Array.from({ length: 100 }, () =>
    load.watch(`${CONFIG_MAPS}?watch=true&resourceVersion=${load.lastRevision}`, stop.signal, (name) => {
      const at = sent.get(name);
      if (at !== undefined) delays.push(performance.now() - at);
    }),
  );
  await setTimeout(1_000);
  const begin = performance.now();
  const writes: Promise<unknown>[] = [];
  for (let i = 0; i < 2_500; i++) {
    const wait = begin + i * 2 - performance.now();
    if (wait > 1) await setTimeout(wait);
    const name = `watched-${i}`;
    sent.set(name, performance.now());
    writes.push(load.timed("POST", CONFIG_MAPS, configMap(name), 201));
  }
  await Promise.all(writes);
  await setTimeout(500);
  stop.abort();
  await Promise.allSettled(watches);
  if (delays.length < 2_500 * 100) throw new Error(`Only ${delays.length} of 250000 events arrived`);
  return delays;
}
