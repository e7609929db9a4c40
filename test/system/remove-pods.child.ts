import { silentLogger } from "@skerry/base";
import { PrivateContainerd } from "@skerry/agent";

/** Removes every sandbox and container of an instance through CRI, behind its agent's back: `node remove-pods.child.ts INSTANCE DATA-DIR POD-CIDR`. */
const [instance = "", dataDir = "", podCidr = ""] = process.argv.slice(2);
const signal = AbortSignal.timeout(60_000);
await using containerd = new PrivateContainerd({
  instance,
  dataDir: `${dataDir}/edge`,
  runDir: `${dataDir}/run`,
  logDir: `${dataDir}/log`,
  log: silentLogger,
});
containerd.start();
await containerd.supervisor.whenServing(signal);
// Without a network containerd takes no sandbox down.
await containerd.setUpNetwork(podCidr, signal);
const before = (await containerd.runtime.listSandboxes(signal)).length;
await containerd.removePods(0, signal);
const after = (await containerd.runtime.listSandboxes(signal)).length;
console.log(`${before} ${after}`);
