/**
 * A reference as containerd keeps it: with registry and tag, so `nginx` is `docker.io/library/nginx:latest`
 * (distribution spec; the short forms are Docker's).
 */
export function canonicalImageName(name: string): string {
  const at = name.indexOf("@");
  const beforeDigest = at < 0 ? name : name.slice(0, at);
  const digest = at < 0 ? "" : name.slice(at);
  const slash = beforeDigest.indexOf("/");
  const first = slash < 0 ? "" : beforeDigest.slice(0, slash);
  const hasRegistry = first.includes(".") || first.includes(":") || first === "localhost";
  const path = hasRegistry ? beforeDigest : `docker.io/${slash < 0 ? "library/" : ""}${beforeDigest}`;
  const hasTag = path.lastIndexOf(":") > path.lastIndexOf("/");
  return `${path}${hasTag || digest !== "" ? "" : ":latest"}${digest}`;
}
