import { readFile } from "node:fs/promises";
import http from "node:http";
import { once } from "node:events";
import type { AgentStatus } from "@skerry/agent";
import { hasSystemd, runCommand, systemClock } from "@skerry/base";
import { UserError } from "../command.ts";
import { commandLine } from "./command-line.ts";
import { runningDaemon } from "./control.ts";
import type { Instance } from "./instance.ts";
import { journalOf } from "./journal.ts";
import { adminClient } from "./kubeconfig.ts";
import { edgeSocketOf, logFileOf, type Daemon, type Layout } from "./layout.ts";

/** How long a daemon may take until it answers, in milliseconds: a slow card, a first start without compiled code. One that ends is noticed at once. */
const START_TIMEOUT_MS = 180_000;

/** How much of the journal is searched for why a daemon has ended. */
const LAST_LINES = 100;

/** Resolves when the cloud's API is ready; rejects with the daemon's own words when it ends instead. */
export async function waitForCloud(instance: Instance, signal: AbortSignal): Promise<void> {
  await waitFor(instance, "cloud", signal, async () => {
    await using client = await adminClient(instance.layout, { timeoutMs: 2_000 });
    const answer = await client.raw("/readyz", { signal });
    answer.resume();
    return answer.statusCode === 200;
  });
}

/** Resolves when the agent answers on its socket. */
export async function waitForEdge(instance: Instance, signal: AbortSignal): Promise<void> {
  await waitFor(instance, "edge", signal, async () => {
    await edgeStatus(instance.layout);
    return true;
  });
}

/** Asks the agent how it is; works without any cloud. */
export async function edgeStatus(layout: Layout): Promise<AgentStatus> {
  const request = http.get({ socketPath: edgeSocketOf(layout), path: "/status", timeout: 5_000 });
  request.on("timeout", () => request.destroy(new Error("The agent does not answer on its socket")));
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as AgentStatus;
}

async function waitFor(
  instance: Instance,
  daemon: Daemon,
  signal: AbortSignal,
  isReady: () => Promise<boolean>,
): Promise<void> {
  const deadline = systemClock.monotonic() + START_TIMEOUT_MS;
  let last: unknown;
  for (;;) {
    try {
      if (await isReady()) return;
    } catch (error) {
      last = error;
    }
    if (!(await runningDaemon(instance, daemon))) throw await whyItEnded(instance, daemon);
    if (systemClock.monotonic() > deadline) {
      throw new UserError(
        `The ${daemon} runs but has not become ready within ${START_TIMEOUT_MS / 1000} s: ` +
          `${(last as Error | undefined)?.message ?? "it answers that it is not ready"}; see: ${commandLine(instance.layout, `logs ${daemon}`)}`,
      );
    }
    await systemClock.sleep(25, signal);
  }
}

/** The last thing that an ended daemon said to people. */
async function whyItEnded(instance: Instance, daemon: Daemon): Promise<UserError> {
  const log = hasSystemd()
    ? runCommand("journalctl", journalOf(instance, daemon, LAST_LINES))
    : readFile(logFileOf(instance.layout, daemon), "utf8");
  const why = lastWords((await log.catch(() => "")).trimEnd().split("\n"));
  return new UserError(
    `The ${daemon} has ended: ${why ?? "its log does not say why"} (more of it: ${commandLine(instance.layout, `logs ${daemon}`)})`,
  );
}

/**
 * The last line of a log that says why its daemon has ended: one that begins with `skerry: `, which is the last of a life, an error, or the words
 * of a crash of Node, which no logger wrote. What it tells of its healthy life is no reason.
 */
export function lastWords(lines: readonly string[]): string | undefined {
  const said = lines.findLastIndex((line) => line.startsWith("skerry: "));
  const after = lines.slice(said + 1);
  const isOfThisLife = !after.some((line) => line.startsWith('{"level":'));
  if (said !== -1 && isOfThisLife) return lines[said]?.slice("skerry: ".length);
  // Of a crash, what is indented or in brackets is where, and at its very end stands Node's version.
  return after.findLast(
    (line) => /^(?:[A-Za-z]|\{"level":"(?:error|fatal)")/.test(line) && !line.startsWith("Node.js v"),
  );
}
