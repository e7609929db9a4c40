import type { Command } from "../command.ts";

/** Every command by its words, loaded when it is called: a daemon does not carry the others in memory. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import("./up.ts")).up,
  down: async () => (await import("./down.ts")).down,
  status: async () => (await import("./status.ts")).status,
  check: async () => (await import("./check.ts")).check,
  logs: async () => (await import("./logs.ts")).logs,
  kubeconfig: async () => (await import("./kubeconfig.ts")).kubeconfig,
  kubectl: async () => (await import("./kubectl.ts")).kubectl,
  "token create": async () => (await import("./token.ts")).tokenCreate,
  join: async () => (await import("./join.ts")).join,
  "image import": async () => (await import("./image.ts")).imageImport,
  "image list": async () => (await import("./image.ts")).imageList,
  version: async () => (await import("./version.ts")).version,
  cloud: async () => (await import("./cloud.ts")).cloud,
  "cloud start": async () => (await import("./daemon.ts")).daemonStart("cloud"),
  "cloud stop": async () => (await import("./daemon.ts")).daemonStop("cloud"),
  edge: async () => (await import("./edge.ts")).edge,
  "edge start": async () => (await import("./daemon.ts")).daemonStart("edge"),
  "edge stop": async () => (await import("./daemon.ts")).daemonStop("edge"),
  "edge kill": async () => (await import("./daemon.ts")).edgeKill,
};

export const COMMAND_NAMES = Object.keys(COMMANDS);
