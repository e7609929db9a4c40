import type { KubeObject, ObjectKey } from "@skerry/machinery";
import type { KindRow } from "../registry/kind-row.ts";
import type { RequestContext } from "../request.ts";

/** A write as admission sees it, after defaults and before validation. */
export interface AdmissionRequest {
  readonly context: RequestContext;
  readonly row: KindRow;
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly subresource: string;
  /** For a create with metadata.generateName the name is still "". */
  readonly key: ObjectKey;
  /** What is to be written, which `admit` may change; for DELETE what is there. */
  readonly object: KubeObject;
  /** What is there; undefined for CREATE. */
  readonly old: KubeObject | undefined;
}

/**
 * A rule that depends on more than the object itself: who asks, what else exists. It changes the object, or refuses it
 * by throwing a StatusError.
 */
export interface AdmissionPlugin {
  readonly name: string;
  admit(request: AdmissionRequest): void | Promise<void>;
}

/** Asks one after the other, in their order. Stays synchronous where the plugins are, so that no other write comes between. */
export function admit(plugins: readonly AdmissionPlugin[], request: AdmissionRequest, from = 0): void | Promise<void> {
  for (let i = from; i < plugins.length; i++) {
    const answer = plugins[i]?.admit(request);
    if (answer instanceof Promise) return answer.then(() => admit(plugins, request, i + 1));
  }
}
