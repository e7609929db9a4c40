import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { isMissingFile, proxiesOf, proxyUrl, writeFileAtomic, type Proxies } from "@skerry/base";
import { UserError } from "../command.ts";
import type { Instance } from "./instance.ts";
import type { Layout } from "./layout.ts";

const NONE: Proxies = { http: "", https: "", no: "" };

/** What is never asked of a proxy: names and services of the cluster. Services have this network in every cluster of ours. */
const CLUSTER = ["10.43.0.0/16", ".svc", ".cluster.local"];
/** Of pods, where only the cloud of this edge knows another. */
const USUAL_PODS = "10.42.0.0/16";
const LOOPBACK = ["localhost", "127.0.0.0/8", "::1"];

/** The proxies of an instance: what the environment of `up`, `join` or `edge start` said last, or a person wrote into the file. */
export async function readProxies(layout: Layout): Promise<Proxies> {
  const text = (await proxiesFile(layout))?.toString("utf8") ?? "";
  const lines = [...text.matchAll(/^([A-Za-z_]+)=(.*)$/gm)];
  return proxiesOf(Object.fromEntries(lines.map(([, name = "", value]) => [name, value]))) ?? NONE;
}

/** The file of proxies as it stands, to be put back by `restoreProxies`; undefined when there is none. */
export async function proxiesFile(layout: Layout): Promise<Buffer | undefined> {
  try {
    return await readFile(layout.proxies);
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}

export async function restoreProxies(layout: Layout, before: Buffer | undefined): Promise<void> {
  await (before ? writeFileAtomic(layout.proxies, before, { mode: 0o600 }) : rm(layout.proxies, { force: true }));
}

/**
 * Keeps the proxies that an environment names, for daemons get none of it, and for the next boot. Empty ones are forgotten; an environment that speaks
 * of none changes nothing. Resolves with whether they are others than before.
 */
export async function keepProxies(layout: Layout, env: NodeJS.ProcessEnv): Promise<boolean> {
  const given = proxiesOf(env);
  if (!given) return false;
  for (const problem of problemsOfProxies(given)) throw new UserError(problem);
  const { http, https, no } = given;
  const kept = await readProxies(layout);
  if (kept.http === http && kept.https === https && kept.no === no) return false;
  if (http === "" && https === "") {
    await rm(layout.proxies, { force: true });
    return true;
  }
  await mkdir(path.dirname(layout.proxies), { recursive: true });
  // Root's alone: a proxy's address may hold a password.
  const text = `HTTP_PROXY=${http}\nHTTPS_PROXY=${https}\nNO_PROXY=${no}\n`;
  await writeFileAtomic(layout.proxies, text, { mode: 0o600 });
  return true;
}

/** What of it containerd's environment says: nothing where there is no proxy. */
export function containerdProxies(
  { http, https, no }: Proxies,
  { settings }: Pick<Instance, "settings">,
): Record<string, string> {
  const usable = Object.entries({ HTTP_PROXY: http, HTTPS_PROXY: https }).filter(([, text]) => proxyUrl(text));
  if (usable.length === 0) return {};
  const pods = settings.clusterCidr === "" ? USUAL_PODS : settings.clusterCidr;
  const given = no.split(/[\s,]+/).filter((entry) => entry !== "");
  return {
    ...Object.fromEntries(usable),
    NO_PROXY: [...new Set([...given, ...LOOPBACK, pods, ...CLUSTER])].join(","),
  };
}

/** What is wrong with proxies, without their values: what is no address of one is not used, for whoever tries complains with the password in its words. */
export const problemsOfProxies = ({ http, https, no }: Proxies): string[] => [
  ...Object.entries({ HTTP_PROXY: http, HTTPS_PROXY: https }).flatMap(([name, text]) =>
    text === "" || proxyUrl(text)
      ? []
      : `${name} is no address of an HTTP proxy; write it like http://proxy.example:3128, and what is special in a password as %XX`,
  ),
  // A line of the file.
  ...(/[\r\n]/.test(http + https + no) ? ["NO_PROXY takes one line"] : []),
];
