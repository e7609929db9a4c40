import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import type { HubAddress } from "@skerry/agent";
import { isMissingFile, writeFileAtomic } from "@skerry/base";
import { UserError, type Call } from "../command.ts";
import { freeClusterCidr } from "./cluster-cidr.ts";
import { commandLine } from "./command-line.ts";
import { ownPaths, type Layout } from "./layout.ts";

/** What was decided when an instance was made, and holds until its data is removed. */
export interface Settings {
  /** Tells this instance's bridges, rules and names apart from another's: eight hex digits. */
  readonly id: string;
  /** What runs here: `cloud` and `edge` after `up`, `edge` alone after `join`. */
  readonly roles: readonly ("cloud" | "edge")[];
  readonly apiPort: number;
  readonly linkPort: number;
  /** Pods get their addresses from here, a /24 for each node. Empty for an edge alone: its cloud decides. */
  readonly clusterCidr: string;
  readonly nodeName: string;
  readonly sample: boolean;
  /** The cloud that an edge alone dials into. */
  readonly hub?: HubAddress;
}

/** The ports of a cloud that nobody chose others for: of its API, and the one that edges dial into. */
export const USUAL_PORTS: Pick<Settings, "apiPort" | "linkPort"> = { apiPort: 6443, linkPort: 10_000 };

/** Where the edge of an instance dials to: the cloud beside it, or the one it joined. */
export const hubOf = ({ hub, linkPort }: Settings): HubAddress => hub ?? { host: "127.0.0.1", port: linkPort };

/** The same in words. */
export function hubText(settings: Settings): string {
  const { host, port } = hubOf(settings);
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export interface SettingsRequest {
  roles: Settings["roles"];
  apiPort?: number;
  linkPort?: number;
  clusterCidr?: string;
  nodeName?: string;
  sample: boolean;
  hub?: HubAddress;
  /** Who asks for the value of an option; its flag when absent. */
  source?: Call["source"];
}

export async function readSettings(layout: Layout): Promise<Settings | undefined> {
  let text: string;
  try {
    text = await readFile(layout.settings, "utf8");
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
  try {
    const settings = JSON.parse(text) as Partial<Settings>;
    if (typeof settings.id !== "string" || !Array.isArray(settings.roles))
      throw new Error("it says neither id nor roles");
    return settings as Settings;
  } catch (error) {
    throw new UserError(
      `${layout.settings} is damaged (${(error as Error).message}); restore it from a copy, ` +
        `or stop the processes that run from ${layout.dataDir} and remove that folder`,
      { cause: error },
    );
  }
}

/** Refuses what concerns a part that the instance does not have. */
export function requireRole(layout: Layout, settings: Settings, role: "cloud" | "edge"): void {
  if (settings.roles.includes(role)) return;
  throw new UserError(
    role === "cloud"
      ? `The instance in ${layout.dataDir} is an edge of the cloud at ${hubText(settings)} and runs no cloud; ` +
          "do this on that cloud's machine, or name another instance with --data-dir"
      : `The instance in ${layout.dataDir} is a cloud alone and runs no edge; name another instance with --data-dir`,
  );
}

/** Refuses a folder that holds what is not an instance's: `down -v` must be able to tell what is ours. */
async function checkFolder(layout: Layout): Promise<void> {
  const names = await readdir(layout.dataDir).catch((error: unknown) => {
    if (isMissingFile(error)) return [];
    throw new UserError(`Cannot use ${layout.dataDir}: ${(error as Error).message}`, { cause: error });
  });
  const own = [...ownPaths(layout), layout.configDir];
  const foreign = names.find((name) => !own.includes(path.join(layout.dataDir, name)));
  if (foreign !== undefined) {
    throw new UserError(
      `${layout.dataDir} holds other files ("${foreign}"); choose an empty folder, or one that does not exist yet, with --data-dir`,
    );
  }
}

/** The settings of the instance, made and kept when there are none yet. What contradicts kept ones is refused: data depends on them. */
export async function ensureSettings(layout: Layout, request: SettingsRequest): Promise<Settings> {
  const kept = await readSettings(layout);
  if (kept) {
    for (const role of request.roles) requireRole(layout, kept, role);
    const asked = { "cluster-cidr": request.clusterCidr, "node-name": request.nodeName };
    for (const [name, value] of Object.entries(asked)) {
      if (value === undefined) continue;
      const source = request.source?.(name) ?? `--${name}`;
      const why = contradiction(layout, kept, { name, value, source });
      if (why !== undefined) throw new UserError(why);
    }
    const settings = {
      ...kept,
      apiPort: request.apiPort ?? kept.apiPort,
      linkPort: request.linkPort ?? kept.linkPort,
    };
    if (settings.apiPort !== kept.apiPort || settings.linkPort !== kept.linkPort) await write(layout, settings);
    return settings;
  }
  await checkFolder(layout);
  const settings: Settings = {
    id: randomBytes(4).toString("hex"),
    roles: request.roles,
    apiPort: request.apiPort ?? USUAL_PORTS.apiPort,
    linkPort: request.linkPort ?? USUAL_PORTS.linkPort,
    clusterCidr: request.roles.includes("cloud") ? (request.clusterCidr ?? (await freeClusterCidr())) : "",
    nodeName: request.nodeName ?? nodeNameOf(hostname()),
    sample: request.sample,
    ...(request.hub && { hub: request.hub }),
  };
  await makeFolders(layout.dataDir);
  await write(layout, settings);
  return settings;
}

/** Makes a folder and what is missing above it. Node's own way of it tries for ever where a file system takes no folders, as /proc. */
async function makeFolders(folder: string): Promise<void> {
  const parent = path.dirname(folder);
  if (!existsSync(parent)) await makeFolders(parent);
  try {
    await mkdir(folder, { mode: 0o711 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw new UserError(`Cannot make ${folder}: ${(error as Error).message}; choose another place with --data-dir`, {
      cause: error,
    });
  }
}

/** Why the instance cannot take an option's value: it was made with another, and data depends on that. Undefined when it can. */
export function contradiction(
  layout: Layout,
  { clusterCidr, nodeName }: Settings,
  { name, value, source }: { name: string; value: string; source: string },
): string | undefined {
  const kept = { "cluster-cidr": clusterCidr, "node-name": nodeName }[name];
  if (kept === undefined || kept === value) return undefined;
  return (
    `${source} says ${value}, but the instance in ${layout.dataDir} was made with ${kept || "none"}; leave it out, ` +
    `or make another instance with --data-dir, or remove this one's data with: ${commandLine(layout, "down -v")}`
  );
}

const write = (layout: Layout, settings: Settings): Promise<void> =>
  writeFileAtomic(layout.settings, `${JSON.stringify(settings, undefined, 2)}\n`);

/** A host name as a node's name: a DNS-1123 subdomain, lower case. */
export function nodeNameOf(host: string): string {
  const name = host
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, "-")
    .replaceAll(/^[-.]+|[-.]+$/g, "");
  return name === "" ? "edge" : name.slice(0, 253);
}
