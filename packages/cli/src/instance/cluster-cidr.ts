import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { overlaps, parseCidr, type Cidr } from "@skerry/base";
import { UserError } from "../command.ts";
import { findProgram } from "../setup/packages.ts";

/** Checks a network that pods are to get addresses from, as `source` says it: aligned, and with room for one to 65,536 nodes. */
export function checkClusterCidr(text: string, source: string): void {
  let block: Cidr;
  try {
    block = parseCidr(text);
  } catch (error) {
    throw new UserError(`${source}: ${(error as Error).message}`, { cause: error, exitCode: 2 });
  }
  if (formatAddress(block.base) !== text.split("/")[0]) {
    throw new UserError(
      `${source}: "${text}" has address bits beyond its /${block.bits}; write ${formatAddress(block.base)}/${block.bits}`,
      { exitCode: 2 },
    );
  }
  if (block.bits < 8 || block.bits > 24) {
    throw new UserError(`${source} takes a network between /8 and /24, not ${text}`, { exitCode: 2 });
  }
}

const formatAddress = (value: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");

/** A network that the machine routes already, and through what. */
export interface Route {
  cidr: string;
  device: string;
}

/** The IPv4 networks that this machine routes, the default route apart. */
export async function hostRoutes(program = "ip"): Promise<Route[]> {
  const ip = findProgram(program);
  if (ip === undefined) {
    throw new UserError("Cannot tell which networks this machine routes: ip is missing; apt-get install iproute2");
  }
  const { stdout } = await promisify(execFile)(ip, ["-json", "-4", "route", "show", "table", "all"]);
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
