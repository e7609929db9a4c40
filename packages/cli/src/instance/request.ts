import { UsageError, type Call } from "../command.ts";
import { checkClusterCidr } from "./cluster-cidr.ts";
import type { SettingsRequest } from "./settings.ts";

/** What a call asks of an instance's settings, each option checked. */
export function settingsRequest(call: Call, base: Pick<SettingsRequest, "roles" | "sample" | "hub">): SettingsRequest {
  const apiPort = portOption(call, "api-port");
  const linkPort = portOption(call, "link-port");
  const clusterCidr = call.option("cluster-cidr");
  const nodeName = call.option("node-name");
  if (clusterCidr !== undefined) checkClusterCidr(clusterCidr);
  if (apiPort !== undefined && apiPort === linkPort) throw new UsageError("--api-port and --link-port must differ");
  return {
    ...base,
    ...(apiPort !== undefined && { apiPort }),
    ...(linkPort !== undefined && { linkPort }),
    ...(clusterCidr !== undefined && { clusterCidr }),
    ...(nodeName !== undefined && { nodeName }),
  };
}

/** A port number from an option. */
export function portOption(call: Call, name: string): number | undefined {
  const text = call.option(name);
  if (text === undefined) return undefined;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError(`${call.source(name)} takes a port between 1 and 65535, not "${text}"`);
  }
  return port;
}
