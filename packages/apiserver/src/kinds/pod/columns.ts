import type { Pod } from "@skerry/machinery/types";
import type { Column } from "../../api.ts";
import { AGE, column, orNone, wideColumn } from "../columns.ts";
import { restartsText, summarizePod } from "./status-text.ts";

export const podColumns: readonly Column[] = [
  column<Pod>("Ready", "string", "How many of the pod's containers are ready to serve", (pod) => {
    const { ready, total } = summarizePod(pod);
    return `${ready}/${total}`;
  }),
  column<Pod>("Status", "string", "What the pod is doing, or what keeps it from it", (pod) => summarizePod(pod).text),
  column<Pod>(
    "Restarts",
    "string",
    "How often containers were restarted, and how long ago the last time",
    (pod, nowMs) => restartsText(summarizePod(pod), nowMs),
  ),
  AGE,
  wideColumn<Pod>("IP", "string", "The pod's address in the cluster", (pod) => orNone(pod.status?.podIPs?.[0]?.ip)),
  wideColumn<Pod>("Node", "string", "The node that runs the pod", (pod) => orNone(pod.spec?.nodeName)),
  wideColumn<Pod>("Nominated Node", "string", "The node on which room is being made for the pod", (pod) =>
    orNone(pod.status?.nominatedNodeName),
  ),
  wideColumn<Pod>(
    "Readiness Gates",
    "string",
    "How many of the conditions that readiness waits for are true",
    gatesText,
  ),
];

function gatesText(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? [];
  if (gates.length === 0) return "<none>";
  const isTrue = (type: string): boolean =>
    pod.status?.conditions?.find((condition) => condition.type === type)?.status === "True";
  return `${gates.filter(({ conditionType }) => isTrue(conditionType)).length}/${gates.length}`;
}
