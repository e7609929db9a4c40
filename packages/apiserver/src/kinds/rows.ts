import type { KubeObject } from "@skerry/machinery";
import type { KindRow } from "../registry/kind-row.ts";
import { configMapRow } from "./config-map.ts";
import { deploymentRow } from "./deployment.ts";
import { eventRow } from "./event.ts";
import { leaseRow } from "./lease.ts";
import { namespaceRow } from "./namespace.ts";
import { nodeRow } from "./node.ts";
import { podRow } from "./pod/pod.ts";
import { clusterRoleBindingRow, clusterRoleRow, roleBindingRow, roleRow } from "./rbac.ts";
import { replicaSetRow } from "./replica-set.ts";
import { secretRow } from "./secret.ts";
import { serviceAccountRow } from "./service-account.ts";

/** Every kind that is stored and served, in discovery order. `now` is wall time in milliseconds. */
export const kindRows = (now: () => number): readonly KindRow[] => [
  asRow(configMapRow),
  asRow(eventRow),
  asRow(namespaceRow),
  asRow(nodeRow),
  asRow(podRow(now)),
  asRow(secretRow),
  asRow(serviceAccountRow),
  asRow(deploymentRow),
  asRow(replicaSetRow),
  asRow(leaseRow),
  asRow(clusterRoleBindingRow),
  asRow(clusterRoleRow),
  asRow(roleBindingRow),
  asRow(roleRow),
];

/** Each row is only ever given objects of its own kind. */
const asRow = <T extends KubeObject>(row: KindRow<T>): KindRow => row as unknown as KindRow;
