/** The API of the control plane: verbs over a storage port, their HTTP face, and who may use them. */
export type {
  Api,
  ApiList,
  BodyRequest,
  Column,
  CreateRequest,
  DecodedBody,
  DeleteResult,
  PatchRequest,
  Resource,
  Subresource,
  Verb,
  VirtualHandler,
  WriteResult,
} from "./api.ts";
export type { NodeRequest, NodeResponse, NodeStreams } from "./node-streams.ts";
export type { RequestContext, UserInfo } from "./request.ts";
export type {
  Storage,
  StorageEvent,
  StorageList,
  StorageListOptions,
  StorageWatchOptions,
  StorageWrite,
} from "./storage.ts";
export type { AdmissionPlugin, AdmissionRequest } from "./admission/admission.ts";
export { defaultAdmission } from "./admission/default-admission.ts";
export type { EscalationCheck } from "./admission/privilege-escalation.ts";
export { bootstrap } from "./bootstrap.ts";
export { inProcessClient, type InProcessClientOptions } from "./in-process.ts";
export { kindRows } from "./kinds/rows.ts";
export { Expiry, type ExpiryOptions } from "./registry/expiry.ts";
export type { ActRow, KindRow, StreamRow, SubresourceRow, ViewRow } from "./registry/kind-row.ts";
export type { UnsupportedNotice } from "./registry/core.ts";
export { Registry, type RegistryOptions } from "./registry/registry.ts";
export {
  accessReviewHandlers,
  selfSubjectReviewHandler,
  userInfoOf,
  type ReviewedAuthorizer,
} from "./auth/access-reviews.ts";
export {
  ANONYMOUS,
  anyOf,
  authenticated,
  MASTERS,
  type Authenticator,
  type Credentials,
} from "./auth/authenticator.ts";
export {
  demand,
  type Attributes,
  type Authorizer,
  type Decision,
  type PathAttributes,
  type ResourceAttributes,
} from "./auth/authorizer.ts";
export { CertificateAuthenticator, type CertificateAuthenticatorOptions } from "./auth/certificate-authenticator.ts";
export { RbacAuthorizer } from "./auth/rbac/rbac-authorizer.ts";
export { reconcileBootstrapRoles } from "./auth/rbac/reconcile-roles.ts";
export type { PolicyRule } from "./auth/rbac/rules.ts";
export { ServiceAccountAuthenticator } from "./auth/service-account-authenticator.ts";
export {
  ServiceAccountTokens,
  type BoundObject,
  type ServiceAccountTokensOptions,
  type TokenClaims,
} from "./auth/service-account-tokens.ts";
export { StaticTokenAuthenticator, type StaticToken } from "./auth/static-tokens.ts";
export { tokenHandlers, type TokenHandlersOptions } from "./auth/token-handlers.ts";
export type { HealthCheck } from "./http/health.ts";
export type { InFlightLimits } from "./http/in-flight.ts";
export type { TlsOptions } from "./http/listener.ts";
export type { ApiMetrics } from "./http/metrics.ts";
export type { OpenIdDocuments, VersionInfo } from "./http/path-handler.ts";
export type { SchemaSource } from "./openapi/schemas.ts";
export { ApiServer, type ApiServerOptions } from "./server.ts";
