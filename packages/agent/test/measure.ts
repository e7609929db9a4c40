import { randomUUID } from "node:crypto";
import path from "node:path";
import { readFileSync, readdirSync } from "node:fs";
import { projectionHash } from "@skerry/wire";
import { eventually } from "@skerry/base/testing";
import { Agent, cgroupSetup, HELLO_IMAGE, linuxCgroups, readMachine } from "../src/index.ts";
import { EdgeSandbox } from "./edge-sandbox.ts";
await using place = await EdgeSandbox.create();
let bootId = randomUUID();
const put = async (agent: Agent, resource: string, object: any) => {
  const { namespace = "", name = "", uid = "" } = object.metadata;
  const bytes = Buffer.from(JSON.stringify(object));
  await agent.cache.commit([
    { op: "put", object: { resource, namespace, name, uid, hash: projectionHash(bytes) }, bytes },
  ]);
};
let trace: string[] = [];
let t1 = 0;
function traced(r: any): any {
  return new Proxy(r, { get(t, k) { const v = t[k]; if (typeof v !== "function" || k === "changes") return typeof v === "function" ? v.bind(t) : v;
    return async (...a: any[]) => { const s = performance.now(); try { return await v.apply(t, a); } finally { trace.push(`${(s - t1).toFixed(0)}+${(performance.now() - s).toFixed(0)} ${String(k)}`); } }; } });
}
async function start() {
  const c = place.open();
  c.start();
  const { driver } = await cgroupSetup();
  const agent = new Agent({
    dataDir: path.join(place.dir, "edge"),
    nodeName: "n1",
    runtime: c.runtime,
    cgroups: linuxCgroups({ instance: place.instance, driver }),
    configureNetwork: async (p, s) => {
      await c.setUpNetwork(p, s);
      await c.supervisor.whenServing(s);
      t0 = performance.now();
      await c.ensureBuiltinImages(s);
      console.log("images", performance.now() - t0);
    },
    readMachine: async () => ({ ...(await readMachine(place.dir)), bootId }),
  });
  const s = performance.now();
  await agent.start();
  console.log("agent.start", performance.now() - s);
  return agent;
}
let t0 = performance.now();
let agent = await start();
await put(agent, "nodes", { metadata: { name: "n1", uid: "n1" }, spec: { podCIDR: "10.98.3.0/24" } });
await eventually(
  () =>
    agent.status().problems.length === 0 &&
    agent.status().runtime.problems.length === 0 &&
    agent.status().pods.length === 0,
);
await new Promise((r) => setTimeout(r, 6000));
const pods: any[] = [];
const times: number[] = [];
for (let i = 0; i < 10; i++) {
  const uid = randomUUID();
  const p = {
    metadata: { namespace: "default", name: `p${i}`, uid },
    spec: {
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 1,
      containers: [{ name: "main", image: HELLO_IMAGE, imagePullPolicy: "IfNotPresent" }],
    },
  };
  pods.push(p);
  const s = performance.now(); t1 = s; trace = [];
  const done = Promise.withResolvers<void>();
  const off = agent.cache.reports.onAdded(() => {
    if (agent.cache.facts(uid)?.status?.phase === "Running") done.resolve();
  });
  await put(agent, "pods", p);
  await done.promise;
  off();
  if (i > 6) console.log(trace.join(", "));
  times.push(Math.round(performance.now() - s));
}
console.log("commit→Running report", times);
const smaps = (pid: string) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]);
let sum = 0;
for (const pid of readdirSync("/proc").filter((n) => /^\d+$/.test(n))) {
  try {
    const cmd = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    if (cmd.includes(place.dir) && Number(pid) !== process.pid) {
      sum += smaps(pid);
    }
  } catch {}
}
console.log("rss MB (ts, this test)", process.memoryUsage.rss() / 1e6, "containerd+shims PSS MB", sum / 1000);
await agent[Symbol.asyncDispose]();
await place.powerCut();
bootId = randomUUID();
agent = await start();
await eventually(
  () =>
    pods.every((p) => {
      const st = agent.cache.facts(p.metadata.uid)?.status;
      return (
        st?.phase === "Running" &&
        st.containerStatuses?.[0]?.restartCount === 1 &&
        st.containerStatuses[0].state?.running
      );
    }),
  { everyMs: 5 },
);
console.log("reboot: containerd answers → all 10 running ms", performance.now() - t0);
await agent[Symbol.asyncDispose]();
