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
export { definition, definitionRefs, type Definition, type Field, type FieldType, type ListType } from "./schema.ts";
export { descriptionOf } from "./docs.ts";
export {
  decodeKubernetesProtobuf,
  hasProtobuf,
  isKubernetesProtobuf,
  type DecodedKubernetesObject,
} from "./protobuf.ts";
export {
  alreadyExists,
  badRequest,
  conflict,
  expired,
  forbidden,
  gone,
  internalError,
  invalid,
  isAlreadyExists,
  isConflict,
  isExpired,
  isForbidden,
  isInvalid,
  isNotFound,
  methodNotAllowed,
  notAcceptable,
  notFound,
  OBJECT_MODIFIED,
  requestEntityTooLarge,
  resourceNotFound,
  resourceVersionTooLarge,
  serverTimeout,
  serviceUnavailable,
  StatusError,
  statusOf,
  timeout,
  tooManyRequests,
  unauthorized,
  unsupportedMediaType,
  type Status,
  type StatusCause,
  type StatusDetails,
  type StatusErrorOptions,
  type StatusReason,
} from "./status.ts";
export { childPath, errorList, fieldError, itemPath, type FieldError, type FieldErrorType } from "./field-error.ts";
export { quote } from "./quote.ts";
export {
  byteLength,
  checkConfigMapKey,
  checkDns1035Label,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkEnvVarName,
  checkPathSegmentName,
  checkPortName,
  checkPortNumber,
  checkStrictEnvVarName,
} from "./names.ts";
export { checkLabelValue, checkQualifiedName, validateAnnotations, validateLabels } from "./labels.ts";
export {
  exactLabelValue,
  formatSelector,
  matchesSelector,
  parseLabelSelector,
  selectorOf,
  selectorOfLabels,
  validateLabelSelector,
  type LabelOperator,
  type LabelRequirement,
  type LabelSelector,
  type Selector,
} from "./selectors.ts";
export {
  exactFieldValue,
  formatFieldSelector,
  matchesFields,
  parseFieldSelector,
  type FieldRequirement,
  type FieldSelector,
} from "./field-selectors.ts";
export {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityMillis,
  quantityUnits,
  subtractQuantities,
  type Quantity,
  type QuantityFormat,
} from "./quantity.ts";
export { humanDuration, shortHumanDuration } from "./duration.ts";
export {
  CompactedError,
  RevisionMismatchError,
  StorageBusyError,
  StorageUnavailableError,
  WatcherTooSlowError,
} from "./storage-errors.ts";
export { duplicateFields, getField, isJsonObject, jsonEqual, MAX_JSON_DEPTH, parseJson, setField } from "./json.ts";
export { checkFields, type CheckedFields, type Lookup } from "./strict.ts";
export { applyJsonPatch } from "./patch/json-patch.ts";
export { applyMergePatch } from "./patch/merge-patch.ts";
export { applyStrategicMergePatch } from "./patch/strategic-merge-patch.ts";
export { kinds } from "./kinds.ts";
export {
  unsupportedAccountFields,
  unsupportedFields,
  unsupportedNodeFields,
  unsupportedText,
} from "./unsupported-fields.ts";
export { applyPatch, type Apply } from "./apply/apply-patch.ts";
export { CreatedFields } from "./apply/created-fields.ts";
export { trackUpdate, type Update } from "./apply/track-update.ts";
export { equalButTimes, withoutManagedFields } from "./apply/owners.ts";
export { Shapes } from "./apply/shape.ts";
export type { FieldSet } from "./apply/field-set.ts";
