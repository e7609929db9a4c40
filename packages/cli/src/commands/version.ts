import type { Command } from "../command.ts";
import { VERSION } from "../version.ts";

export const version: Command = {
  name: "version",
  summary: "Print the versions of Skerry, of the Kubernetes API it presents, and of its Node.",
  run: async () => {
    console.log(`skerry ${VERSION}, Kubernetes API v1.35.0+skerry, Node ${process.version}`);
  },
};
