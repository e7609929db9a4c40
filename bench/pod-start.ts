import path from "node:path";
import { Machine } from "../test/system/machine.ts";
import { kubectlPath } from "../tools/kubectl/kubectl.ts";
import { atMost, noted, percentile, type Row } from "./row.ts";

const CHILD = path.join(import.meta.dirname, "pod-start.child.ts");
const PODS = 30;

/** A real instance in a network namespace of its own: how soon a pod with a local image runs. */
export async function podStart(): Promise<Row[]> {
  await using machine = await Machine.create();
  await machine.skerry("up", "--no-sample");
  const kubeconfig = path.join(machine.dataDir, "etc/kubeconfig");
  const { code, stdout, stderr } = await machine.exec(process.execPath, [
    CHILD,
    kubectlPath("1.35"),
    kubeconfig,
    String(PODS),
  ]);
  if (code !== 0) throw new Error(`Starting pods failed: ${stderr}`);
  const { byKubectl, byPost, itself } = JSON.parse(stdout) as Record<"byKubectl" | "byPost" | "itself", number[]>;
  return [
    atMost("pod: exec of kubectl apply → Running, p50", percentile(byKubectl, 0.5), "ms", 300),
    atMost("pod: exec of kubectl apply → Running, p99", percentile(byKubectl, 0.99), "ms", 1000),
    noted("kubectl itself (get --raw /readyz), p50", percentile(itself, 0.5), "ms"),
    atMost("pod: POST → Running, p50", percentile(byPost, 0.5), "ms", 200),
    noted("pod: POST → Running, p99", percentile(byPost, 0.99), "ms"),
  ];
}
