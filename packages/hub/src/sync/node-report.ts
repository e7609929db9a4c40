import { isDeepStrictEqual } from "node:util";
import type { Client } from "@skerry/client";
import { kinds, type Encoded } from "@skerry/machinery";
import type { Node } from "@skerry/machinery/types";
import type { Report } from "@skerry/wire";
import type { NodeIdentity } from "../identity.ts";
import { mergeConditions } from "./conditions.ts";
import { RefusedReportError, reportedObject } from "./report-error.ts";

/** Labels that an edge may set on its own Node: those that kubelets set (KEP-279, NodeRestriction), and none that decides what it is trusted with. */
const LABELS = new Set([
  "kubernetes.io/arch",
  "kubernetes.io/hostname",
  "kubernetes.io/os",
  "node.kubernetes.io/instance-type",
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
]);
const LABEL_PREFIXES = ["kubelet.kubernetes.io/", "node.kubernetes.io/", "edge.skerry.io/"];
const ANNOTATION_PREFIX = "edge.skerry.io/";

/** Writes what an edge reports of its own Node: its status, and the labels and annotations that are its to set. */
export async function applyNodeReport(
  client: Client,
  current: Encoded<Node>,
  identity: NodeIdentity,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const { node: name, uid } = identity;
  if (report.name !== name) throw new RefusedReportError(`Node ${report.name} is not ${name}`);
  let node = current.decode();
  if (node.metadata.uid !== uid) throw new RefusedReportError(`Node ${name} is another one than joined`);
  const reported = reportedObject<Node>(report);

  const labels = ownLabels(reported.metadata.labels, node.metadata.labels);
  const annotations = ownAnnotations(reported.metadata.annotations, node.metadata.annotations);
  if (labels || annotations) {
    const body = { metadata: { uid, ...(labels && { labels }), ...(annotations && { annotations }) } };
    const patched = await client.patch<Node>(
      kinds.Node,
      { namespace: "", name },
      { type: "merge-patch+json", body },
      { fieldManager: "skerry-edge", signal },
    );
    node = patched.decode();
  }

  const status = {
    ...reported.status,
    conditions: mergeConditions(node.status?.conditions, reported.status?.conditions),
  };
  if (isDeepStrictEqual(status, node.status)) return;
  await client.update<Node>(
    kinds.Node,
    { ...node, status },
    { subresource: "status", fieldManager: "skerry-edge", signal },
  );
}

function ownLabels(
  reported: Record<string, string> | undefined,
  current: Record<string, string> = {},
): Record<string, string> | undefined {
  return changed(
    reported,
    current,
    (key) => LABELS.has(key) || LABEL_PREFIXES.some((prefix) => key.startsWith(prefix)),
  );
}

function ownAnnotations(
  reported: Record<string, string> | undefined,
  current: Record<string, string> = {},
): Record<string, string> | undefined {
  return changed(reported, current, (key) => key.startsWith(ANNOTATION_PREFIX));
}

function changed(
  reported: Record<string, string> = {},
  current: Record<string, string>,
  isOwn: (key: string) => boolean,
): Record<string, string> | undefined {
  const entries = Object.entries(reported).filter(
    ([key, value]) => isOwn(key) && typeof value === "string" && current[key] !== value,
  );
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}
