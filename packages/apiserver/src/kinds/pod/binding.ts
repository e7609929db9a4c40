import { conflict, fieldError, kinds, type FieldError, type Kind, type KubeObject } from "@skerry/machinery";
import type { Binding, Pod } from "@skerry/machinery/types";
import type { ActRow } from "../../registry/kind-row.ts";
import { timestamp } from "@skerry/base";

/** `/binding`: gives a pod its node, once. Source: Kubernetes API reference, Binding; the words are upstream's. */
export const bindingRow = (now: () => number): ActRow<Pod> => ({
  form: "act",
  name: "binding",
  verbs: ["create"],
  kind: kinds.Binding as Kind,
  validate: (body, errors) => validateBinding(body as Binding, errors),
  write: (body, old) => bind(body as Binding, old, now()),
});

function validateBinding({ target }: Binding, errors: FieldError[]): void {
  if (target?.kind && target.kind !== "Node")
    errors.push(fieldError.notSupported("target.kind", target.kind, ["Node", "<empty>"]));
  if (!target?.name) errors.push(fieldError.required("target.name"));
}

function bind(binding: Binding, pod: Pod, nowMs: number): Pod {
  const name = pod.metadata.name ?? "";
  const refuse = (why: string): Error => conflict(kinds.Pod, name, why);
  const { uid } = binding.metadata;
  if (uid && uid !== pod.metadata.uid) {
    throw refuse(`Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`);
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
  }
  if (pod.spec?.nodeName) throw refuse(`pod ${name} is already assigned to node "${pod.spec.nodeName}"`);

  const conditions = (pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
  const scheduled = { type: "PodScheduled", status: "True", lastTransitionTime: timestamp(nowMs) };
  const metadata: KubeObject["metadata"] = { ...pod.metadata };
  const { annotations, labels } = binding.metadata;
  if (annotations) metadata.annotations = { ...metadata.annotations, ...annotations };
  if (labels) metadata.labels = { ...metadata.labels, ...labels };
  return {
    ...pod,
    metadata,
    spec: { containers: [], ...pod.spec, nodeName: binding.target.name ?? "" },
    status: { ...pod.status, conditions: [...conditions, scheduled] },
  };
}
