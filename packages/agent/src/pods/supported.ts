import { unsupportedFields } from "@skerry/machinery";
import type { Pod } from "@skerry/machinery/types";
import type { EventText } from "./events.ts";

/** What of a pod this agent cannot do. */
export interface Gaps {
  /** Why the pod would be wrong without it, so that it is not run; empty when it can run. */
  refused: string;
  /** Fields that are accepted and have no effect. */
  ignored: string[];
}

/** Finds what this node does not honour yet. */
export function gapsOf(pod: Pod): Gaps {
  if (!pod.spec) return { refused: "The pod has no spec", ignored: [] };
  const own = unsupportedFields(pod).filter(({ side }) => side === "node");
  const refusals = own.filter(({ isRefused }) => isRefused).map(({ path }) => path);
  const ignored = own.filter(({ isRefused }) => !isRefused).map(({ path }) => path);
  const refused = refusals.length === 0 ? "" : `This node does not support yet: ${refusals.join(", ")}`;
  return { refused, ignored };
}

/** What the pod's author is told of it. */
export function gapEvents({ refused, ignored }: Gaps): EventText[] {
  const messages = [
    ...(refused === "" ? [] : [refused]),
    ...(ignored.length === 0 ? [] : [`Not honoured on this node yet: ${ignored.join(", ")}`]),
  ];
  return messages.map((message) => ({ type: "Warning", reason: "Unsupported", message }));
}
