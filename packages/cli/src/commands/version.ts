import { readFile } from "node:fs/promises";
import type { Command } from "../command.ts";

export const version: Command = {
  name: "version",
  summary: "Print the versions of Skerry, of the Kubernetes API it presents, and of its Node.",
  run: async () => {
    const manifest = JSON.parse(await readFile(new URL("../../../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    console.log(`skerry ${manifest.version}, Kubernetes API v1.35.0+skerry, Node ${process.version}`);
  },
};
