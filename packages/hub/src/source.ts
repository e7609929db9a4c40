import { isIPv6 } from "node:net";

/**
 * Who is counted as one where strangers are counted: an IPv4 address, or the /64 of an IPv6 address, of which a single machine has 2^64
 * addresses to its taste (RFC 6177 gives every site at least one /64).
 */
export function sourceOf(address: string): string {
  const bare = address.split("%")[0] ?? "";
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare) ?? [];
  if (mapped !== undefined) return mapped;
  return isIPv6(bare) ? `${groupsOf(bare).slice(0, 4).join(":")}::/64` : address;
}

/** The eight groups of an IPv6 address, in the one form of RFC 5952 but for the shortening. */
function groupsOf(address: string): string[] {
  const [head = "", tail] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0");
  return [...before, ...zeros, ...after].map((group) => group.toLowerCase().replace(/^0+(?=.)/, ""));
}
