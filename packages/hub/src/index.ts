/** The cloud end of the link: where machines join, edges hold their session, and what each should hold is kept in step. */
export { Hub, type HubOptions } from "./hub.ts";
export { identityOf, issueNodeCertificate, type NodeIdentity } from "./identity.ts";
export type { JoinAnswer } from "./join/join.ts";
export {
  DEFAULT_TOKEN_TTL_MS,
  createToken,
  deleteExpiredTokens,
  deleteToken,
  listTokens,
  type TokenInfo,
} from "./join/tokens.ts";
