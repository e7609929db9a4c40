import {
  checkLabelValue,
  checkQualifiedName,
  fieldError,
  kinds,
  unsupportedNodeFields,
  unsupportedText,
  type FieldError,
} from "@skerry/machinery";
import type { Node, Taint } from "@skerry/machinery/types";
import type { KindRow } from "../registry/kind-row.ts";
import { addInvalid, at } from "../registry/metadata.ts";
import { AGE, column, orNone, orUnknown, wideColumn } from "./columns.ts";
import { oneOf } from "./pod/validate-container.ts";
import { statusView } from "./views.ts";

export const nodeRow: KindRow<Node> = {
  kind: kinds.Node,
  columns: [
    column<Node>("Status", "string", "Whether the node is ready, and whether it takes new pods", statusText),
    column<Node>("Roles", "string", "What the node's labels say it is for", rolesText),
    AGE,
    column<Node>(
      "Version",
      "string",
      "The version of the node's agent",
      (node) => node.status?.nodeInfo?.kubeletVersion ?? "",
    ),
    wideColumn<Node>("Internal-IP", "string", "The node's address in its own network", (node) =>
      addressText(node, "InternalIP"),
    ),
    wideColumn<Node>("External-IP", "string", "The node's address for everybody", (node) =>
      addressText(node, "ExternalIP"),
    ),
    wideColumn<Node>("OS-Image", "string", "The node's operating system", (node) =>
      orUnknown(node.status?.nodeInfo?.osImage),
    ),
    wideColumn<Node>("Kernel-Version", "string", "The node's kernel", (node) =>
      orUnknown(node.status?.nodeInfo?.kernelVersion),
    ),
    wideColumn<Node>("Container-Runtime", "string", "What runs containers on the node", (node) =>
      orUnknown(node.status?.nodeInfo?.containerRuntimeVersion),
    ),
  ],
  selectable: { "spec.unschedulable": ({ spec }) => String(spec?.unschedulable ?? false) },
  hasStatus: true,
  // A node brings its first status with it.
  keepsStatusOnCreate: true,
  defaults: (node) => {
    // Without another word all of a node is for pods.
    if (node.status?.capacity && !node.status.allocatable) node.status.allocatable = { ...node.status.capacity };
  },
  validate: (node, errors) => validateTaints(node.spec?.taints ?? [], errors),
  validateUpdate: (node, old, errors) => {
    for (const field of ["podCIDR", "providerID"] as const) {
      const was = old.spec?.[field];
      if (!was || node.spec?.[field] === was) continue;
      errors.push(
        fieldError.forbidden(
          `spec.${field === "podCIDR" ? "podCIDRs" : field}`,
          `node updates may not change ${field} except from "" to valid`,
        ),
      );
    }
  },
  unsupported: (node) => unsupportedNodeFields(node).map(unsupportedText),
  subresources: [statusView()],
};

function statusText({ spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  const text = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return spec?.unschedulable ? `${text},SchedulingDisabled` : text;
}

const ROLE_PREFIX = "node-role.kubernetes.io/";
const ROLE_LABEL = "kubernetes.io/role";

function rolesText({ metadata }: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (key.startsWith(ROLE_PREFIX) && key.length > ROLE_PREFIX.length) roles.add(key.slice(ROLE_PREFIX.length));
    else if (key === ROLE_LABEL && value !== "") roles.add(value);
  }
  return orNone([...roles].toSorted().join(","));
}

const addressText = ({ status }: Node, type: string): string =>
  orNone(status?.addresses?.find((address) => address.type === type)?.address);

function validateTaints(taints: readonly Taint[], errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [i, { key = "", value, effect }] of taints.entries()) {
    const here = at("spec.taints", i);
    addInvalid(errors, `${here}.key`, key, checkQualifiedName(key));
    if (value) addInvalid(errors, `${here}.value`, value, checkLabelValue(value));
    oneOf(effect, ["NoExecute", "NoSchedule", "PreferNoSchedule"], `${here}.effect`, errors);
    const id = `${key}:${effect}`;
    if (seen.has(id)) errors.push(fieldError.duplicate(here, taints[i]));
    seen.add(id);
  }
}
