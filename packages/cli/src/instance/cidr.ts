import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { UserError } from "../command.ts";

/** A block of IPv4 addresses. */
interface Block {
  base: number;
  bits: number;
}

/** `10.42.0.0/16` as a block. */
export function parseCidr(text: string): Block {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  const octets = match?.slice(1, 5).map(Number) ?? [];
  const bits = Number(match?.[5]);
  if (!match || octets.some((octet) => octet > 255) || bits > 32) {
    throw new UserError(`"${text}" is no IPv4 network; write it like 10.42.0.0/16`);
  }
  const base = octets.reduce((value, octet) => value * 256 + octet, 0);
  if (base % 2 ** (32 - bits) !== 0)
    throw new UserError(`"${text}" has address bits beyond its /${bits}; write the network's first address`);
  return { base, bits };
}

export function overlaps(a: Block, b: Block): boolean {
  const size = 2 ** (32 - Math.min(a.bits, b.bits));
  return Math.floor(a.base / size) === Math.floor(b.base / size);
}

/** A network that the machine routes already, and through what. */
export interface Route {
  cidr: string;
  device: string;
}

/** The IPv4 networks that this machine routes, the default route apart. */
export async function hostRoutes(): Promise<Route[]> {
  const { stdout } = await promisify(execFile)("ip", ["-json", "-4", "route", "show", "table", "all"]);
  const rows = JSON.parse(stdout === "" ? "[]" : stdout) as { dst?: string; dev?: string; type?: string }[];
  return rows
    .filter((row) => row.dst !== undefined && /^\d/.test(row.dst) && (row.type === undefined || row.type === "unicast"))
    .map((row) => ({ cidr: row.dst?.includes("/") ? row.dst : `${row.dst}/32`, device: row.dev ?? "?" }));
}

/** The first of 10.42.0.0/16, 10.44.0.0/16 … that the machine does not route. 10.43 is for services. */
export async function freeClusterCidr(routes?: readonly Route[]): Promise<string> {
  const taken = routes ?? (await hostRoutes());
  const found: string[] = [];
  for (let second = 42; second < 256; second += 2) {
    const cidr = `10.${second}.0.0/16`;
    const other = conflictOf(cidr, taken);
    if (!other) return cidr;
    found.push(`${cidr} by ${other.cidr} on ${other.device}`);
  }
  throw new UserError(
    `Every network from 10.42.0.0/16 on is taken (${found.slice(0, 4).join(", ")} …); name one with --cluster-cidr`,
  );
}

/** The route that overlaps a network, if one does. */
export const conflictOf = (cidr: string, routes: readonly Route[]): Route | undefined =>
  routes.find((route) => overlaps(parseCidr(cidr), parseCidr(route.cidr)));
