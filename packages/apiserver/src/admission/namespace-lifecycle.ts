import { forbidden, kinds, notFound, StatusError } from "@skerry/machinery";
import type { Namespace } from "@skerry/machinery/types";
import type { Storage } from "../storage.ts";
import type { AdmissionPlugin } from "./admission.ts";

/** Namespaces without which a cluster doesn't work. */
const PROTECTED = new Set(["default", "kube-system", "kube-public"]);

/**
 * New objects need a namespace that is there and stays; some namespaces cannot be deleted.
 * Source: Kubernetes, "Admission Controllers", NamespaceLifecycle.
 */
export const namespaceLifecycle = (storage: Pick<Storage, "get">): AdmissionPlugin => ({
  name: "NamespaceLifecycle",
  admit: ({ key, object, operation, row }) => {
    if (operation === "DELETE" && row.kind === kinds.Namespace && PROTECTED.has(key.name)) {
      throw forbidden(row.kind, key.name, "this namespace may not be deleted");
    }
    if (operation !== "CREATE" || !row.kind.namespaced) return;
    const name = key.namespace;
    const namespace = storage.get("namespaces", { namespace: "", name })?.decode() as Namespace | undefined;
    if (!namespace) throw notFound(kinds.Namespace, name);
    if (namespace.metadata.deletionTimestamp === undefined && namespace.status?.phase !== "Terminating") return;
    const refusal = forbidden(
      row.kind,
      object.metadata.name ?? "",
      `unable to create new content in namespace ${name} because it is being terminated`,
    );
    const cause = {
      reason: "NamespaceTerminating",
      message: `namespace ${name} is being terminated`,
      field: "metadata.namespace",
    };
    throw new StatusError("Forbidden", refusal.message, { details: { ...refusal.details, causes: [cause] } });
  },
});
