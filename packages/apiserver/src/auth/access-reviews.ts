import { badRequest, fieldError, invalid, kinds, type Kind, type KubeObject } from "@skerry/machinery";
import type { VirtualHandler } from "../api.ts";
import type { UserInfo } from "../request.ts";
import type { Attributes, Authorizer } from "./authorizer.ts";
import type { PolicyRule } from "./rbac/rules.ts";

/** authorization/v1: what somebody asks about. */
interface AccessSpec {
  resourceAttributes?: {
    namespace?: string;
    verb?: string;
    group?: string;
    version?: string;
    resource?: string;
    subresource?: string;
    name?: string;
  };
  nonResourceAttributes?: { path?: string; verb?: string };
  user?: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
}

interface AccessReview extends KubeObject {
  spec?: AccessSpec;
}

/** What reviews need: decisions, and the list of what somebody may do. */
export interface ReviewedAuthorizer extends Authorizer {
  rulesFor(user: UserInfo, namespace: string): PolicyRule[];
}

/** The reviews of `authorization.k8s.io/v1`: questions about rights, answered and not stored. */
export function accessReviewHandlers(authorizer: ReviewedAuthorizer): Record<string, VirtualHandler> {
  const decide = (review: AccessReview, user: UserInfo, kind: Kind): KubeObject => {
    const { allowed, reason } = authorizer.authorize(user, attributesOf(review.spec ?? {}, kind));
    return { ...review, status: { allowed, ...(reason !== "" && { reason }) } } as KubeObject;
  };
  return {
    "selfsubjectaccessreviews.authorization.k8s.io": async ({ user }, { body }) =>
      decide(body.object, user, kinds.SelfSubjectAccessReview),
    "subjectaccessreviews.authorization.k8s.io": async (_, { body }) => {
      const review: AccessReview = body.object;
      return decide(review, subjectOf(review, kinds.SubjectAccessReview), kinds.SubjectAccessReview);
    },
    "localsubjectaccessreviews.authorization.k8s.io": async (_, { body, namespace }) => {
      const review: AccessReview = body.object;
      const kind = kinds.LocalSubjectAccessReview;
      if (review.spec?.nonResourceAttributes)
        throw invalid(kind, "", [
          fieldError.invalid(
            "spec.nonResourceAttributes",
            review.spec.nonResourceAttributes,
            "disallowed on this kind of request",
          ),
        ]);
      if (review.spec?.resourceAttributes?.namespace !== namespace)
        throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
      return decide(review, subjectOf(review, kind), kind);
    },
    "selfsubjectrulesreviews.authorization.k8s.io": async ({ user }, { body }) => {
      const { namespace } = ((body.object as { spec?: { namespace?: string } }).spec ?? {}) as { namespace?: string };
      if (namespace === undefined || namespace === "") throw badRequest("no namespace on request");
      const rules = authorizer.rulesFor(user, namespace);
      const status = {
        resourceRules: rules
          .filter(({ resources }) => resources?.length)
          .map(({ verbs, apiGroups, resources, resourceNames }) => ({
            verbs,
            apiGroups,
            resources,
            ...(resourceNames?.length && { resourceNames }),
          })),
        nonResourceRules: rules
          .filter(({ nonResourceURLs }) => nonResourceURLs?.length)
          .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
        incomplete: false,
      };
      return { ...body.object, status } as KubeObject;
    },
  };
}

function attributesOf({ resourceAttributes, nonResourceAttributes }: AccessSpec, kind: Kind): Attributes {
  if (resourceAttributes && nonResourceAttributes)
    throw invalid(kind, "", [
      fieldError.invalid(
        "spec.nonResourceAttributes",
        nonResourceAttributes,
        "cannot be specified in combination with resourceAttributes",
      ),
    ]);
  if (nonResourceAttributes) return { verb: nonResourceAttributes.verb ?? "", path: nonResourceAttributes.path ?? "" };
  if (!resourceAttributes)
    throw invalid(kind, "", [
      fieldError.invalid(
        "spec.resourceAttributes",
        null,
        "exactly one of nonResourceAttributes or resourceAttributes must be specified",
      ),
    ]);
  const {
    verb = "",
    group = "",
    version = "",
    resource = "",
    subresource = "",
    namespace = "",
    name = "",
  } = resourceAttributes;
  return { verb, group, version, resource, subresource, namespace, name };
}

function subjectOf({ spec = {} }: AccessReview, kind: Kind): UserInfo {
  const { user = "", groups = [], uid, extra } = spec;
  if (user === "" && groups.length === 0)
    throw invalid(kind, "", [fieldError.invalid("spec.user", user, "at least one of user or group must be specified")]);
  return { name: user, groups, ...(uid !== undefined && { uid }), ...(extra && { extra }) };
}

/** `authentication.k8s.io/v1` SelfSubjectReview: who the server thinks that I am. */
export const selfSubjectReviewHandler: VirtualHandler = async ({ user }, { body }) =>
  ({ ...body.object, status: { userInfo: userInfoOf(user) } }) as KubeObject;

/** A user as authentication/v1 `UserInfo`. */
export const userInfoOf = ({ name, uid, groups, extra }: UserInfo): object => ({
  username: name,
  ...(uid !== undefined && { uid }),
  groups,
  ...(extra && { extra }),
});
