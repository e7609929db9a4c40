import { compareQuantities, parseQuantity } from "@skerry/machinery";
import type { Pod } from "@skerry/machinery/types";
import { allContainers } from "./defaults.ts";

type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

/** How well a pod is protected when its node runs short. Source: Kubernetes, "Pod Quality of Service Classes". */
export function qosClassOf(pod: Pod): QosClass {
  let none = true;
  let guaranteed = true;
  for (const { resources } of pod.spec ? allContainers(pod.spec) : []) {
    for (const name of ["cpu", "memory"]) {
      const limit = amount(resources?.limits?.[name]);
      const request = amount(resources?.requests?.[name]);
      if (limit !== undefined || request !== undefined) none = false;
      const isEqual = limit !== undefined && (request === undefined || compareQuantities(limit, request) === 0);
      if (!isEqual) guaranteed = false;
    }
  }
  if (none) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

/** Zero counts as not said. */
function amount(text: string | number | undefined): ReturnType<typeof parseQuantity> | undefined {
  if (text === undefined) return undefined;
  try {
    const quantity = parseQuantity(text);
    return quantity.nanos === 0n ? undefined : quantity;
  } catch {
    // Validation tells what is wrong with it.
    return undefined;
  }
}
