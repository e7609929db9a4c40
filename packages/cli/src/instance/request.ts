import { checkDns1123Subdomain } from "@skerry/machinery";
import { UsageError, type Call, type Said } from "../command.ts";
import { checkClusterCidr } from "./cluster-cidr.ts";
import type { SettingsRequest } from "./settings.ts";

/** What a call asks of an instance's settings, each option checked. */
export function settingsRequest(call: Call, base: Pick<SettingsRequest, "roles" | "sample" | "hub">): SettingsRequest {
  const apiPort = portOption(call, "api-port");
  const linkPort = portOption(call, "link-port");
  const clusterCidr = clusterCidrOption(call);
  const nodeName = nodeNameOption(call);
  if (apiPort !== undefined && apiPort === linkPort) {
    throw new UsageError(`${call.source("api-port")} and ${call.source("link-port")} must differ`);
  }
  return {
    ...base,
    source: (name) => call.source(name),
    ...(apiPort !== undefined && { apiPort }),
    ...(linkPort !== undefined && { linkPort }),
    ...(clusterCidr !== undefined && { clusterCidr }),
    ...(nodeName !== undefined && { nodeName }),
  };
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
