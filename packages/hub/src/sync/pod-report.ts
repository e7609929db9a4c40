import { isDeepStrictEqual } from "node:util";
import type { Client } from "@skerry/client";
import { isNotFound, kinds, type Encoded } from "@skerry/machinery";
import type { Pod } from "@skerry/machinery/types";
import type { Report } from "@skerry/wire";
import type { NodeIdentity } from "../identity.ts";
import { mergeConditions } from "./conditions.ts";
import { RefusedReportError, reportedObject } from "./report-error.ts";

/**
 * Writes what an edge reports of a pod that is bound to it, and completes the deletion of one that is gone there. A pod that
 * no longer exists, or exists anew, is nothing to report on: the edge learns of it by what it should hold.
 */
export async function applyPodReport(
  client: Client,
  current: Encoded<Pod>,
  identity: NodeIdentity,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const pod = current.decode();
  const { uid } = pod.metadata;
  if (pod.spec?.nodeName !== identity.node) throw new RefusedReportError(`The pod is not bound to ${identity.node}`);
  if (uid === undefined || uid !== report.uid) throw new RefusedReportError("The pod is another one of the same name");
  const reported = reportedObject<Pod>(report);
  if (reported.status) {
    const status = {
      ...reported.status,
      conditions: mergeConditions(pod.status?.conditions, reported.status.conditions),
    };
    if (!isDeepStrictEqual(status, pod.status)) {
      const options = { subresource: "status", fieldManager: "skerry-edge", signal };
      await client.update<Pod>(kinds.Pod, { ...pod, status }, options);
    }
  }
  if (!report.gone) return;
  if (pod.metadata.deletionTimestamp === undefined) {
    throw new RefusedReportError("The pod is not being deleted: it belongs to the cloud");
  }
  try {
    await client.delete(kinds.Pod, current.key, { gracePeriodSeconds: 0, preconditions: { uid }, signal });
  } catch (error) {
    // Somebody else has completed it.
    if (!isNotFound(error)) throw error;
  }
}
