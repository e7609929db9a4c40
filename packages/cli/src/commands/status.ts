import type { Node, Pod } from "@skerry/machinery/types";
import { humanDuration } from "@skerry/machinery";
import { lookAt, type Look } from "../checks/health.ts";
import { UsageError, type Command } from "../command.ts";
import { requireInstance } from "../instance/instance.ts";
import { hubText, type Settings } from "../instance/settings.ts";
import { table } from "../table.ts";

export const status: Command = {
  name: "status",
  summary: "One screen: what runs, how it is, what is wrong and how to mend it.",
  options: { output: { type: "string", short: "o", value: "json", summary: "Print JSON instead" } },
  run: async (call) => {
    const output = call.option("output");
    if (output !== undefined && output !== "json") throw new UsageError(`-o takes json, not "${output}"`);
    const instance = await requireInstance(call);
    const look = await lookAt(instance, call.signal);
    console.log(
      output === "json" ? JSON.stringify(summaryOf(look), undefined, 2) : screenOf(look, instance.settings, Date.now()),
    );
    return look.problems.length === 0 ? 0 : 1;
  },
};

/** The machine-readable form; scripts rely on it. */
function summaryOf({ cloud, edge, nodes, pods, problems }: Look): object {
  return {
    cloud: { running: cloud.running, pid: cloud.pid ?? null },
    edge: {
      running: edge.running,
      pid: edge.pid ?? null,
      link: edge.status?.link?.state === "connected" ? "up" : "down",
    },
    nodes: nodes.map((node) => ({
      name: node.metadata.name,
      ready: readyOf(node),
      podCIDR: node.spec?.podCIDR ?? null,
    })),
    pods: pods.map((pod) => ({
      namespace: pod.metadata.namespace,
      name: pod.metadata.name,
      phase: pod.status?.phase ?? "Pending",
      ready: `${readyContainers(pod)}/${pod.spec?.containers?.length ?? 0}`,
      restarts: restartsOf(pod),
      node: pod.spec?.nodeName ?? null,
      ip: pod.status?.podIP ?? null,
    })),
    problems,
  };
}

/** What people see. READY is always how many containers of a pod are ready, of how many. */
export function screenOf({ cloud, edge, nodes, pods, problems }: Look, settings: Settings, now: number): string {
  const age = (time: string | undefined): string => (time === undefined ? "?" : humanDuration(now - Date.parse(time)));
  const link = edge.status?.link;
  const hasCloud = settings.roles.includes("cloud");
  const cloudRuns = cloud.answers ? `runs, process ${cloud.pid}` : `process ${cloud.pid}, does not answer`;
  const linkText = link
    ? `, link ${link.state === "connected" ? "up" : `down (${link.state})`}${link.since ? ` for ${age(link.since)}` : ""}`
    : "";
  const nodeTable = table(
    ["NODE", "STATUS", "PODS", "AGE", "VERSION"],
    nodes.map((node) => [
      node.metadata.name ?? "",
      { True: "Ready", False: "NotReady" }[readyOf(node)] ?? "Unknown",
      String(pods.filter((pod) => pod.spec?.nodeName === node.metadata.name).length),
      age(node.metadata.creationTimestamp),
      node.status?.nodeInfo?.kubeletVersion ?? "",
    ]),
  );
  const lines = [
    `cloud  ${hasCloud ? (cloud.running ? cloudRuns : "is stopped") : `is elsewhere, at ${hubText(settings)}`}`,
    ...(settings.roles.includes("edge")
      ? [`edge   ${edge.running ? `runs, process ${edge.pid}` : "is stopped"}${linkText}`]
      : []),
    "",
    // Only the cloud knows of nodes.
    ...(hasCloud ? [...nodeTable, ""] : []),
    ...table(
      ["NAMESPACE", "POD", "READY", "PHASE", "RESTARTS", "AGE", "NODE"],
      cloud.answers
        ? pods.map((pod) => [
            pod.metadata.namespace ?? "",
            pod.metadata.name ?? "",
            `${readyContainers(pod)}/${pod.spec?.containers?.length ?? 0}`,
            pod.status?.phase ?? "Pending",
            String(restartsOf(pod)),
            age(pod.metadata.creationTimestamp),
            pod.spec?.nodeName ?? "",
          ])
        : (edge.status?.pods ?? []).map((pod) => [
            pod.namespace,
            pod.name,
            `${pod.readyContainers}/${pod.containers}`,
            pod.phase,
            String(pod.restarts),
            "",
            edge.status?.node ?? "",
          ]),
    ),
  ];
  if (problems.length > 0) {
    lines.push("", "PROBLEMS");
    for (const problem of problems) lines.push(`  ${problem.what}`, `    → ${problem.mend}`);
  }
  return lines.join("\n");
}

const readyOf = (node: Node): string =>
  node.status?.conditions?.find((each) => each.type === "Ready")?.status ?? "Unknown";
const readyContainers = (pod: Pod): number => (pod.status?.containerStatuses ?? []).filter((each) => each.ready).length;
const restartsOf = (pod: Pod): number =>
  (pod.status?.containerStatuses ?? []).reduce((sum, each) => sum + (each.restartCount ?? 0), 0);
