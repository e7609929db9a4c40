/** A block of IPv4 addresses. */
export interface Cidr {
  base: number;
  bits: number;
}

/** `10.42.0.0/24` as a block; a plain address is a block of one. */
export function parseCidr(text: string): Cidr {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text);
  const octets = match?.slice(1, 5).map(Number) ?? [];
  const bits = Number(match?.[5] ?? 32);
  if (!match || bits > 32 || octets.some((octet) => octet > 255))
    throw new RangeError(`Cannot read "${text}" as an IPv4 network: write it like 10.42.0.0/24`);
  const address = octets.reduce((value, octet) => value * 256 + octet, 0);
  const size = 2 ** (32 - bits);
  return { base: Math.floor(address / size) * size, bits };
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  const size = 2 ** (32 - Math.min(a.bits, b.bits));
  return Math.floor(a.base / size) === Math.floor(b.base / size);
}
