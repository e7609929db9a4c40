/**
 * Runs in the network namespace of an instance, for `pod-start.ts`: its arguments are a kubectl, a kubeconfig and how many pods.
 * Prints what each start took, in milliseconds, as JSON.
 */
import { execFile } from "node:child_process";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import https from "node:https";
import { promisify } from "node:util";
import { readAccess } from "../packages/cli/src/instance/kubeconfig.ts";

const [kubectl = "", kubeconfig = "", count = "20"] = process.argv.slice(2);
const { server, ca, certificate, key } = await readAccess(kubeconfig);
const agent = new https.Agent({ keepAlive: true, ca, cert: certificate, key });
const PODS = `${server}/api/v1/namespaces/default/pods`;

const manifest = (name: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { bench: "start" } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "web", image: "skerry.local/hello:1", imagePullPolicy: "IfNotPresent" }],
    },
  });

const running = new Map<string, PromiseWithResolvers<number>>();
const gone = new Map<string, PromiseWithResolvers<number>>();
const expect = (map: typeof running, name: string): Promise<number> => {
  const waiting = Promise.withResolvers<number>();
  map.set(name, waiting);
  return waiting.promise;
};

const watch = https.get(`${PODS}?watch=true&labelSelector=bench%3Dstart`, { agent });
const [events] = (await once(watch, "response")) as [IncomingMessage];
let rest = "";
events.setEncoding("utf8").on("data", (text: string) => {
  const now = performance.now();
  const lines = (rest + text).split("\n");
  rest = lines.pop()!;
  for (const line of lines) {
    const { type, object } = JSON.parse(line) as {
      type: string;
      object: { metadata: { name: string }; status?: { phase?: string } };
    };
    if (type === "DELETED") gone.get(object.metadata.name)?.resolve(now);
    else if (object.status?.phase === "Running") running.get(object.metadata.name)?.resolve(now);
  }
});

async function send(method: string, url: string, body?: string): Promise<void> {
  const request = https.request(url, { method, agent, headers: { "content-type": "application/json" } });
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  if (response.statusCode! >= 400) throw new Error(`${method} ${url} was answered with ${response.statusCode}`);
}

async function remove(name: string): Promise<void> {
  const ended = expect(gone, name);
  await send("DELETE", `${PODS}/${name}?gracePeriodSeconds=0`);
  await ended;
}

const byKubectl: number[] = [];
const byPost: number[] = [];
const itself: number[] = [];
for (let n = 0; n < Number(count); n++) {
  const first = expect(running, `kubectl-${n}`);
  let began = performance.now();
  const applied = promisify(execFile)(kubectl, ["--kubeconfig", kubeconfig, "apply", "-f", "-"]);
  applied.child.stdin!.end(manifest(`kubectl-${n}`));
  byKubectl.push((await first) - began);
  await applied;
  await remove(`kubectl-${n}`);

  const second = expect(running, `post-${n}`);
  began = performance.now();
  await send("POST", PODS, manifest(`post-${n}`));
  byPost.push((await second) - began);
  await remove(`post-${n}`);

  began = performance.now();
  await promisify(execFile)(kubectl, ["--kubeconfig", kubeconfig, "get", "--raw", "/readyz"]);
  itself.push(performance.now() - began);
}
console.log(JSON.stringify({ byKubectl, byPost, itself }));
watch.destroy();
agent.destroy();
