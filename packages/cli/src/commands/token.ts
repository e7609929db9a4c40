import { hostname } from "node:os";
import { UsageError, UserError, type Command } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { commandLine } from "../instance/command-line.ts";
import { requireInstance } from "../instance/instance.ts";
import { createJoinToken } from "../instance/joining.ts";
import { adminClient } from "../instance/kubeconfig.ts";

/** A token that lasts longer than a year is a password that nobody changes. */
const MAX_TTL_MS = 365 * 86_400_000;

export const tokenCreate: Command = {
  name: "token create",
  summary: "Make a token with which a machine joins as an edge, and print it. It is shown this once.",
  options: { ttl: { type: "string", value: "24h", default: "24h", summary: "How long it lasts" } },
  run: async (call) => {
    const ttlMs = parseDuration(call.option("ttl") ?? "24h", "ttl");
    if (ttlMs < 1000 || ttlMs > MAX_TTL_MS) throw new UsageError("--ttl takes from 1s to 365d");
    const { layout, settings } = await requireInstance(call, "cloud");
    await using client = await adminClient(layout);
    let token: string;
    try {
      token = await createJoinToken(client, layout, ttlMs);
    } catch (error) {
      throw new UserError(
        `Cannot make a token: ${(error as Error).message}; does the cloud run (${commandLine(layout, "status")})?`,
        {
          cause: error,
        },
      );
    }
    console.log(token);
    // On the other stream, so that scripts take the token alone.
    console.error(`On the machine that is to join: ./skerry join ${hostname()}:${settings.linkPort} TOKEN`);
  },
};
