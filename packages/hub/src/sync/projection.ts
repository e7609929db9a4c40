import { resourceOf, type Encoded, type Kind, type KubeObject } from "@skerry/machinery";
import type { PodStatus } from "@skerry/machinery/types";
import { encodePut, projectionHash, type HeldObject, type Payload } from "@skerry/wire";

/** What an edge should hold of an object: everything but what others than its author say about it. */
export interface Projection {
  object: HeldObject;
  /** Ready to be sent; made when somebody wants it, and shared while it is in use. */
  payload(): Payload;
}

/**
 * Makes projections, once per version of an object. Status, managedFields and resourceVersion are left out, so that a status which the
 * edge itself reported makes no new projection, and nothing travels. What does travel brings the record along that the cloud has of a pod:
 * an edge that lost its memory goes on from there, and does not run again what has run to its end.
 */
export class Projections {
  readonly #made = new WeakMap<Encoded, Projection>();

  of(kind: Kind, encoded: Encoded): Projection {
    let projection = this.#made.get(encoded);
    if (!projection) {
      projection = project(kind, encoded);
      this.#made.set(encoded, projection);
    }
    return projection;
  }
}

function project(kind: Kind, encoded: Encoded): Projection {
  const bytes = projectionBytes(encoded.decode());
  const object: HeldObject = {
    resource: resourceOf(kind),
    namespace: encoded.key.namespace,
    name: encoded.key.name,
    uid: encoded.decode().metadata.uid ?? "",
    hash: projectionHash(bytes),
  };
  let kept: WeakRef<Payload> | undefined;
  return {
    object,
    payload: () => {
      let payload = kept?.deref();
      if (!payload) {
        payload = encodePut(object, projectionBytes(encoded.decode(), recordOf(object.resource, encoded.decode())));
        kept = new WeakRef(payload);
      }
      return payload;
    },
  };
}

/** The projection as UTF-8 JSON, with a record beside it that is not part of its hash. */
export function projectionBytes(object: KubeObject & { status?: unknown }, record?: PodStatus): Uint8Array {
  const { status: _status, ...rest } = object;
  const { managedFields: _managedFields, resourceVersion: _resourceVersion, ...metadata } = object.metadata;
  return Buffer.from(JSON.stringify({ ...rest, metadata, ...(record && { status: record }) }));
}

/** The status of a pod that a node has taken on, or that has ended: what an edge must know if it knows nothing of the pod. */
function recordOf(resource: string, { status }: KubeObject & { status?: PodStatus }): PodStatus | undefined {
  if (resource !== "pods" || !status) return undefined;
  const hasEnded = status.phase === "Succeeded" || status.phase === "Failed";
  return status.startTime !== undefined || hasEnded ? status : undefined;
}
