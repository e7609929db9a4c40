import { createHash } from "node:crypto";
import type { Client } from "@skerry/client";
import { isAlreadyExists, kinds } from "@skerry/machinery";
import type { Event } from "@skerry/machinery/types";
import type { Message } from "@skerry/wire";
import type { NodeIdentity } from "../identity.ts";
import type { BoundPods } from "./bound-pods.ts";
import { RefusedReportError, reportedObject } from "./report-error.ts";

/** The topic of messages whose bytes are a core/v1 Event. */
export const EVENTS_TOPIC = "events";

const MAX_TEXT = 1024;

/**
 * Writes an Event that happened at an edge, about its Node or one of its pods, of which it says name and uid. Its name follows from the message's id, or from the name
 * that the edge gave a series of them: delivered twice it is one, and a series counts as far as the edge says that it counted.
 */
export async function applyEventMessage(
  client: Client,
  bound: BoundPods,
  { node, uid }: NodeIdentity,
  message: Message,
  signal: AbortSignal,
): Promise<void> {
  const event = reportedObject<Event>(message);
  const about = event.involvedObject;
  const name = about?.name ?? "";
  const namespace = about?.kind === "Node" ? "default" : (about?.namespace ?? "");
  let involvedObject: Event["involvedObject"];
  if (about?.kind === "Node") {
    if (name !== node) throw new RefusedReportError(`An event about Node ${name} is not ${node}'s to tell`);
    involvedObject = { kind: "Node", apiVersion: "v1", name, uid };
  } else if (about?.kind === "Pod") {
    const pod = { namespace, name, uid: about.uid ?? "" };
    if (!bound.has(node, pod)) {
      throw new RefusedReportError(
        `Pod ${namespace}/${name} with uid "${pod.uid}" is not, and was not lately, bound to ${node}`,
      );
    }
    const fieldPath = String(about.fieldPath ?? "").slice(0, MAX_TEXT);
    involvedObject = { kind: "Pod", apiVersion: "v1", ...pod, ...(fieldPath !== "" && { fieldPath }) };
  } else throw new RefusedReportError("An event of an edge is about its Node or a Pod");

  const series = seriesOf(uid, event.metadata.name ?? message.id);
  const count = countOf(event);
  const now: Event = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.${series}`, namespace },
    involvedObject,
    type: event.type === "Warning" ? "Warning" : "Normal",
    reason: String(event.reason ?? "").slice(0, 128),
    message: String(event.message ?? "").slice(0, MAX_TEXT),
    ...(event.firstTimestamp !== undefined && { firstTimestamp: event.firstTimestamp }),
    ...(event.lastTimestamp !== undefined && { lastTimestamp: event.lastTimestamp }),
    count,
    source: { component: "skerry-edge", host: node },
    reportingComponent: "skerry-edge",
    reportingInstance: node,
  };
  try {
    await client.create<Event>(kinds.Event, now, { signal });
    return;
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  const key = { namespace, name: `${name}.${series}` };
  const existing = (await client.get<Event>(kinds.Event, key, { signal })).decode();
  if ((existing.count ?? 1) >= count) return;
  const body = { count, lastTimestamp: now.lastTimestamp, message: now.message };
  await client.patch<Event>(kinds.Event, key, { type: "merge-patch+json", body }, { signal });
}

/**
 * What tells events of an object from each other: the time in nanoseconds that edges put into their names, so that names are in the order of what
 * happened, and a hash of node and name, so that no edge can mean the events of another.
 */
function seriesOf(uid: string, edgeName: string): string {
  const [, time = ""] = /\.([0-9a-f]{16})[0-9a-f]{4}$/.exec(edgeName) ?? [];
  const hash = createHash("sha256").update(`${uid}\0${edgeName}`).digest("hex");
  return time + hash.slice(0, time === "" ? 16 : 8);
}

const countOf = ({ count }: Event): number =>
  typeof count === "number" && Number.isSafeInteger(count) && count > 0 && count < 2 ** 31 ? count : 1;
