/** The object model of Kubernetes: what objects, kinds, errors, selectors and patches are, and the generated facts about kinds. */
export {
  deepFreeze,
  keyString,
  type Encoded,
  type FieldsV1,
  type Json,
  type KubeObject,
  type ManagedFieldsEntry,
  type ObjectKey,
  type ObjectMeta,
  type OwnerReference,
} from "./object.ts";
export { apiVersionOf, resourceOf, type Kind } from "./kind.ts";
export type { Definition, Field, FieldType, ListType } from "./schema.ts";
