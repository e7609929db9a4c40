/** A request for objects, as its path says it. Empty strings stand for what the path does not name. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly resource: string;
  readonly name: string;
  readonly subresource: string;
  /** The old form of a watch: `/api/v1/watch/pods`. */
  readonly watch: boolean;
}

/** What may follow a namespace's name without being a resource inside it. */
const NAMESPACE_SUBRESOURCES = new Set(["status", "finalize"]);

/**
 * Reads `/api/v1/…` and `/apis/{group}/{version}/…` (Kubernetes API conventions, "Resources"). `undefined`: the path names no objects;
 * it is discovery, health or nothing at all. A path with a broken escape names nothing.
 */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const parts = splitPath(path);
  if (parts === undefined) return undefined;
  let group = "";
  let at: number;
  if (parts[0] === "api") {
    at = 1;
  } else if (parts[0] === "apis") {
    group = parts[1] ?? "";
    at = 2;
  } else {
    return undefined;
  }
  const version = parts[at++] ?? "";
  const watch = parts[at] === "watch";
  if (watch) at++;
  if (version === "" || at >= parts.length) return undefined;

  let namespace = "";
  const third = parts[at + 2];
  if (parts[at] === "namespaces" && third !== undefined && !NAMESPACE_SUBRESOURCES.has(third)) {
    namespace = parts[at + 1] ?? "";
    at += 2;
  }
  if (parts.length - at > 3) return undefined;
  const [resource = "", name = "", subresource = ""] = parts.slice(at);
  // A namespace is inside itself, so that a Role in it can speak of it.
  if (resource === "namespaces" && group === "") namespace = name;
  return { group, version, namespace, resource, name, subresource, watch };
}

/** The unescaped segments, none of them empty; a "/" at the end means nothing. */
export function splitPath(path: string): string[] | undefined {
  const parts = path.split("/");
  parts.shift();
  if (parts.at(-1) === "") parts.pop();
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] ?? "";
    if (part === "") return undefined;
    if (!part.includes("%")) continue;
    try {
      parts[i] = decodeURIComponent(part);
    } catch {
      return undefined;
    }
  }
  return parts;
}
