import { access, stat } from "node:fs/promises";
import { constants } from "node:fs";
import path from "node:path";
import { silentLogger } from "@skerry/base";
import { UserError, type Call, type Command } from "../command.ts";
import { containersOf } from "../daemons/edge.ts";
import { commandLine } from "../instance/command-line.ts";
import { requireInstance } from "../instance/instance.ts";
import { table } from "../table.ts";
import type { PrivateContainerd } from "@skerry/agent";

export const imageImport: Command = {
  name: "image import",
  operands: "FILE…",
  summary:
    "Import image archives (docker save, or an OCI layout, as tar) into this edge, so that pods need no registry.",
  arity: [1, Number.POSITIVE_INFINITY],
  run: async (call) => {
    for (const file of call.operands) {
      const isFolder = await access(file, constants.R_OK).then(
        async () => (await stat(file)).isDirectory(),
        (error: unknown) => {
          throw new UserError(`Cannot read ${file}`, { cause: error });
        },
      );
      if (isFolder) throw new UserError(`${file} is a folder; name an archive in it, as docker save writes one`);
    }
    await using containers = await runningContainers(call);
    for (const file of call.operands) {
      try {
        for (const name of await containers.images.importArchive(path.resolve(file), call.signal)) console.log(name);
      } catch (error) {
        call.signal.throwIfAborted();
        throw new UserError((error as Error).message, { cause: error });
      }
    }
  },
};

export const imageList: Command = {
  name: "image list",
  summary: "The images on this edge.",
  run: async (call) => {
    await using containers = await runningContainers(call);
    const images = await containers.runtime.listImages(call.signal);
    const rows = images.flatMap(({ tags, digests, id, sizeBytes }) => {
      const names = tags.length > 0 ? tags : digests.length > 0 ? digests : ["<none>"];
      return names.map((name) => [name, id.replace(/^sha256:/, "").slice(0, 12), `${(sizeBytes / 1e6).toFixed(1)} MB`]);
    });
    console.log(
      table(
        ["IMAGE", "ID", "SIZE"],
        rows.toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
      ).join("\n"),
    );
  },
};

async function runningContainers(call: Call): Promise<PrivateContainerd> {
  const instance = await requireInstance(call, "edge");
  const containers = await containersOf(instance, silentLogger);
  if (await containers.supervisor.isRunning()) return containers;
  await containers[Symbol.asyncDispose]();
  throw new UserError(
    `The edge's containerd does not run; start it with ${commandLine(instance.layout, "edge start")}`,
  );
}
