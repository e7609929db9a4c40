import { checkDns1123Subdomain } from "@skerry/machinery";
import { UsageError, type Call, type Said } from "../command.ts";
import { checkClusterCidr } from "./cluster-cidr.ts";
import { USUAL_PORTS, type Settings, type SettingsRequest } from "./settings.ts";

/** What a call asks of an instance's settings, each option checked, and both ports against those that are kept. */
export function settingsRequest(
  call: Call,
  base: Pick<SettingsRequest, "roles" | "sample" | "hub">,
  kept?: Settings,
): SettingsRequest {
  const apiPort = portOption(call, "api-port");
  const linkPort = portOption(call, "link-port");
  const clusterCidr = clusterCidrOption(call);
  const nodeName = nodeNameOption(call);
  const clash = portClash(call, kept);
  if (clash !== undefined) throw new UsageError(clash);
  return {
    ...base,
    source: (name) => call.source(name),
    ...(apiPort !== undefined && { apiPort }),
    ...(linkPort !== undefined && { linkPort }),
    ...(clusterCidr !== undefined && { clusterCidr }),
    ...(nodeName !== undefined && { nodeName }),
  };
}

/** Why a cloud cannot have the ports that are asked for, one of which may be another that it has already. Undefined when it can. */
export function portClash(call: Said, kept: Pick<Settings, "apiPort" | "linkPort"> = USUAL_PORTS): string | undefined {
  const [apiPort, linkPort] = [portOption(call, "api-port"), portOption(call, "link-port")];
  const isAsked = apiPort !== undefined || linkPort !== undefined;
  if (!isAsked || (apiPort ?? kept.apiPort) !== (linkPort ?? kept.linkPort)) return undefined;
  const api = call.source("api-port") ?? `the API's port, ${kept.apiPort},`;
  const link = call.source("link-port") ?? `the port that edges dial into, ${kept.linkPort},`;
  return `${apiPort === undefined ? `${link} and ${api}` : `${api} and ${link}`} must differ`;
}

/** A port number from an option. */
export function portOption(call: Said, name: string): number | undefined {
  const text = call.option(name);
  if (text === undefined) return undefined;
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw new UsageError(`${call.source(name)} takes a port between 1 and 65535, not "${text}"`);
  }
  return port;
}

/** The name of this machine as a node, when one is asked for. */
export function nodeNameOption(call: Said): string | undefined {
  const text = call.option("node-name");
  if (text !== undefined && checkDns1123Subdomain(text).length > 0) {
    throw new UsageError(
      `${call.source("node-name")} takes lower-case letters and digits, with - and . between them, 253 in all, not "${text}"`,
    );
  }
  return text;
}

/** The network of pods, when one is asked for. */
export function clusterCidrOption(call: Said): string | undefined {
  const text = call.option("cluster-cidr");
  if (text !== undefined) checkClusterCidr(text, call.source("cluster-cidr") ?? "--cluster-cidr");
  return text;
}
