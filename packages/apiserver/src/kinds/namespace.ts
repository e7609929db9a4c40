import { kinds } from "@skerry/machinery";
import type { Namespace } from "@skerry/machinery/types";
import type { KindRow, ViewRow } from "../registry/kind-row.ts";
import { labelName } from "../registry/metadata.ts";
import { AGE, column } from "./columns.ts";
import { statusView } from "./views.ts";

const NAME_LABEL = "kubernetes.io/metadata.name";
const FINALIZER = "kubernetes";

/** `/finalize`: says that the namespace's content is gone. */
const finalize: ViewRow<Namespace> = {
  form: "view",
  name: "finalize",
  verbs: ["update"],
  write: (body, old) => ({ ...old, spec: { ...(body as Namespace).spec } }),
};

export const namespaceRow: KindRow<Namespace> = {
  kind: kinds.Namespace,
  verbs: ["create", "delete", "get", "list", "patch", "update", "watch"],
  columns: [
    column<Namespace>(
      "Status",
      "string",
      "Active, or Terminating while its content is deleted",
      ({ status }) => status?.phase ?? "",
    ),
    AGE,
  ],
  selectable: { "status.phase": ({ status }) => status?.phase ?? "" },
  hasStatus: true,
  name: labelName,
  defaults: ({ metadata }) => {
    if (metadata.name) metadata.labels = { ...metadata.labels, [NAME_LABEL]: metadata.name };
  },
  prepareForCreate: (namespace) => {
    // The content is deleted before the namespace is; whoever does that takes the finalizer away.
    namespace.spec = {
      ...namespace.spec,
      finalizers: [...new Set([...(namespace.spec?.finalizers ?? []), FINALIZER])],
    };
    namespace.status = { phase: "Active" };
  },
  prepareForUpdate: (draft, old) => {
    draft.spec = { ...draft.spec };
    delete draft.spec.finalizers;
    if (old.spec?.finalizers) draft.spec.finalizers = [...old.spec.finalizers];
  },
  holdsDeletion: ({ spec }) => (spec?.finalizers ?? []).length > 0,
  markDeleted: (draft) => {
    delete draft.metadata.deletionGracePeriodSeconds;
    draft.status = { ...draft.status, phase: "Terminating" };
  },
  subresources: [finalize, statusView()],
};
