import type { FieldError, Kind, KubeObject } from "@skerry/machinery";
import { fieldError, kinds } from "@skerry/machinery";
import type { Scale } from "@skerry/machinery/types";
import type { ViewRow } from "../registry/kind-row.ts";

/** Subresources that many kinds have. */

interface WithStatus extends KubeObject {
  status?: unknown;
}

/** `/status`: of the body only the status counts, and the metadata that controllers note things in. */
export const statusView = <T extends WithStatus>(
  validate?: (object: T, old: T, errors: FieldError[]) => void,
): ViewRow<T> => ({
  form: "view",
  name: "status",
  verbs: ["get", "patch", "update"],
  resets: { "f:spec": {} },
  write: (body, old) => {
    const { status } = body as WithStatus;
    const { labels, ownerReferences } = old.metadata;
    const metadata = { ...body.metadata };
    delete metadata.labels;
    delete metadata.ownerReferences;
    if (labels) metadata.labels = labels;
    if (ownerReferences) metadata.ownerReferences = ownerReferences;
    const { status: _, ...rest } = old;
    return { ...rest, metadata, ...(status !== undefined && { status }) } as T;
  },
  ...(validate && { validate }),
});

interface Scalable extends KubeObject {
  spec?: { replicas?: number };
  status?: { replicas?: number };
}

/** `/scale`: how many, without knowing of what (autoscaling/v1 Scale). `selector` gives the string form for the status. */
export const scaleView = <T extends Scalable>(selector: (object: T) => string): ViewRow<T> => ({
  form: "view",
  name: "scale",
  kind: kinds.Scale as Kind,
  verbs: ["get", "patch", "update"],
  read: (object): Scale => {
    const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
    return {
      apiVersion: "autoscaling/v1",
      kind: "Scale",
      metadata: {
        ...(name !== undefined && { name }),
        ...(namespace !== undefined && { namespace }),
        ...(uid !== undefined && { uid }),
        ...(resourceVersion !== undefined && { resourceVersion }),
        ...(creationTimestamp !== undefined && { creationTimestamp }),
      },
      spec: { replicas: object.spec?.replicas ?? 0 },
      status: { replicas: object.status?.replicas ?? 0, selector: selector(object) },
    };
  },
  // A missing count is zero: it is a plain number in a Scale.
  write: (body, old) => ({
    ...old,
    metadata: old.metadata,
    spec: { ...old.spec, replicas: (body as Scale).spec?.replicas ?? 0 },
  }),
  validate: (object, _old, errors) => {
    const replicas = object.spec?.replicas ?? 0;
    if (replicas < 0) {
      errors.push(fieldError.invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
    }
  },
});
