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
export function summaryOf(look: Look): object {
  const { cloud, edge, nodes, problems } = look;
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
    pods: podsOf(look).map(({ namespace, name, phase, ready, restarts, node, ip }) => ({
      namespace,
      name,
      phase,
      ready,
      restarts,
      node: node ?? null,
      ip: ip ?? null,
    })),
    problems,
  };
}

/** What people see. */
export function screenOf(look: Look, settings: Settings, now: number): string {
  const { cloud, edge, nodes, problems } = look;
  const age = (time: string | undefined): string => (time === undefined ? "?" : humanDuration(now - Date.parse(time)));
  const link = edge.status?.link;
  const hasCloud = settings.roles.includes("cloud");
  const cloudRuns = cloud.answers ? `runs, process ${cloud.pid}` : `process ${cloud.pid}, does not answer`;
  const linkText = link
    ? `, link ${link.state === "connected" ? "up" : `down (${link.state})`}${link.since ? ` for ${age(link.since)}` : ""}`
    : "";
  const pods = podsOf(look);
  const parts = [
    [
      `cloud  ${hasCloud ? (cloud.running ? cloudRuns : "is stopped") : `is elsewhere, at ${hubText(settings)}`}`,
      ...(settings.roles.includes("edge")
        ? [`edge   ${edge.running ? `runs, process ${edge.pid}` : "is stopped"}${linkText}`]
        : []),
    ],
    // Only the cloud knows of nodes.
    hasCloud
      ? table(
          ["NODE", "STATUS", "PODS", "AGE", "VERSION"],
          nodes.map((node) => [
            node.metadata.name ?? "",
            ({ True: "Ready", False: "NotReady" }[readyOf(node)] ?? "Unknown") +
              (node.spec?.unschedulable ? ",SchedulingDisabled" : ""),
            String(pods.filter((pod) => pod.node === node.metadata.name).length),
            age(node.metadata.creationTimestamp),
            node.status?.nodeInfo?.kubeletVersion ?? "",
          ]),
        )
      : [],
    table(
      ["NAMESPACE", "POD", "READY", "PHASE", "RESTARTS", "AGE", "NODE"],
      pods.map((pod) => [
        pod.namespace,
        pod.name,
        pod.ready,
        pod.phase,
        String(pod.restarts),
        cloud.answers ? age(pod.made) : "",
        pod.node ?? "",
      ]),
    ),
    problems.length === 0 ? [] : ["PROBLEMS", ...problems.flatMap(({ what, mend }) => [`  ${what}`, `    → ${mend}`])],
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

interface PodRow {
  namespace: string;
  name: string;
  phase: string;
  /** How many containers are ready, of how many. */
  ready: string;
  restarts: number;
  node: string | undefined;
  ip: string | undefined;
  /** Wall time, RFC 3339; an edge alone does not tell it. */
  made?: string | undefined;
}

/** The pods as the cloud tells of them, or the edge of its own while the cloud does not answer. */
function podsOf({ cloud, edge, pods }: Look): PodRow[] {
  if (cloud.answers) {
    return pods.map((pod) => ({
      namespace: pod.metadata.namespace ?? "",
      name: pod.metadata.name ?? "",
      phase: pod.status?.phase ?? "Pending",
      ready: `${readyContainers(pod)}/${pod.spec?.containers?.length ?? 0}`,
      restarts: restartsOf(pod),
      node: pod.spec?.nodeName,
      ip: pod.status?.podIP,
      made: pod.metadata.creationTimestamp,
    }));
  }
  return (edge.status?.pods ?? []).map(({ namespace, name, phase, readyContainers, containers, restarts, ip }) => ({
    namespace,
    name,
    phase,
    ready: `${readyContainers}/${containers}`,
    restarts,
    node: edge.status?.node,
    ip,
  }));
}

const readyOf = (node: Node): string =>
  node.status?.conditions?.find((each) => each.type === "Ready")?.status ?? "Unknown";
const readyContainers = (pod: Pod): number => (pod.status?.containerStatuses ?? []).filter((each) => each.ready).length;
const restartsOf = (pod: Pod): number =>
  (pod.status?.containerStatuses ?? []).reduce((sum, each) => sum + (each.restartCount ?? 0), 0);
