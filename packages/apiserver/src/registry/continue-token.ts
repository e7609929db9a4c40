import { badRequest, type ObjectKey } from "@skerry/machinery";

/** Where the next part of a list starts: the revision all parts show (-1: whatever is newest), and the last key given. */
export interface ContinueToken {
  revision: number;
  after: ObjectKey;
}

const VERSION = "meta.k8s.io/v1";

/** Opaque to clients; the form is upstream's `{"v","rv","start"}` as base64url, `start` being the first key not yet given. */
export function encodeContinue({ revision, after }: ContinueToken): string {
  const start = `${after.namespace === "" ? "" : `${after.namespace}/`}${after.name}\u0000`;
  return Buffer.from(JSON.stringify({ v: VERSION, rv: revision, start })).toString("base64url");
}

export function decodeContinue(text: string): ContinueToken {
  const token = parse(text);
  if (token.v !== VERSION) {
    throw badRequest(`continue key is not valid: server does not recognize this encoded version "${String(token.v)}"`);
  }
  if (typeof token.rv !== "number" || !Number.isSafeInteger(token.rv) || token.rv === 0 || token.rv < -1) {
    throw badRequest("continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
  }
  if (typeof token.start !== "string" || !token.start.endsWith("\u0000")) {
    throw badRequest("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)");
  }
  const key = token.start.slice(0, -1);
  const slash = key.indexOf("/");
  return { revision: token.rv, after: { namespace: slash < 0 ? "" : key.slice(0, slash), name: key.slice(slash + 1) } };
}

function parse(text: string): { v?: unknown; rv?: unknown; start?: unknown } {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Told below, like any other text that isn't a token.
  }
  throw badRequest(`continue key is not valid: ${JSON.stringify(text.slice(0, 80))} is not a token of this server`);
}
