import { existsSync } from "node:fs";
import { chown, rm } from "node:fs/promises";
import { EdgeIdentity } from "@skerry/agent";
import { systemClock, writeFileAtomic } from "@skerry/base";
import { isNotFound, kinds } from "@skerry/machinery";
import type { Client } from "@skerry/client";
import { UserError, type Call, type Command } from "../command.ts";
import { hardProblems, refuse } from "../checks/machine.ts";
import { conflictOf, hostRoutes } from "../instance/cluster-cidr.ts";
import { CONFIG_OPTIONS, requireConfig, withConfig } from "../instance/config-file.ts";
import { runningDaemon, startInstanceDaemon, stopForProxies, stopInstanceDaemon } from "../instance/control.ts";
import { edgeStatus, waitForCloud, waitForEdge } from "../instance/health.ts";
import { commandLine } from "../instance/command-line.ts";
import { lockInstance } from "../instance/instance-lock.ts";
import { type Instance } from "../instance/instance.ts";
import { layoutOfCall, type Layout } from "../instance/layout.ts";
import { settingsRequest } from "../instance/request.ts";
import { adminClient } from "../instance/kubeconfig.ts";
import { ensureSettings, hubText, readSettings, USUAL_PORTS, type SettingsRequest } from "../instance/settings.ts";
import { createJoinToken, joinEdge } from "../instance/joining.ts";
import { createSample, SAMPLE_NAME, sampleProgress } from "../sample.ts";
import { whyNoKubectl } from "../setup/kubectl.ts";
import { installNeeds, missingNeeds } from "../setup/packages.ts";
import { Steps } from "../steps.ts";
import { OTHER_PROXIES } from "./daemon.ts";
import { runForeground } from "./foreground.ts";

/** How long what is waited for may stand still. A slow machine takes longer for all of it, but goes on from one state to the next. */
const STILL_TIMEOUT_MS = 90_000;
/** How long is waited at most: what fails again and again does not stand still either. */
const MAX_TIMEOUT_MS = 600_000;

export const up: Command = {
  name: "up",
  summary: "Start cloud and edge on this machine, with a small sample; again, it says what runs and changes nothing.",
  details:
    "An instance that is made already is brought back as it is: one that joined a cloud elsewhere as an edge alone.\n" +
    "What is missing is installed first, saying so before. The daemons stay when this returns: as systemd units where\n" +
    "systemd runs, otherwise in sessions of their own.",
  options: {
    "api-port": CONFIG_OPTIONS["api-port"],
    "link-port": CONFIG_OPTIONS["link-port"],
    "cluster-cidr": CONFIG_OPTIONS["cluster-cidr"],
    "node-name": CONFIG_OPTIONS["node-name"],
    "no-sample": { type: "boolean", summary: "Leave the sample out" },
    foreground: {
      type: "boolean",
      summary: "Stay, with the daemons as children, until Ctrl-C or until one of them ends",
    },
  },
  run: async (call) => {
    const layout = layoutOfCall(call);
    using lock = lockInstance(layout, "up");
    const steps = new Steps(process.stdout);
    const kept = await readSettings(layout);
    const config = await requireConfig(layout, kept);
    const roles = kept?.roles ?? ["cloud", "edge"];
    const before = kept && { layout, settings: kept };
    const isEdgeAlone = before !== undefined && !roles.includes("cloud");
    if (isEdgeAlone) refuseForEdgeAlone(before, call);
    // What the file may say of a cloud is nothing to an edge alone.
    const said = isEdgeAlone ? call : withConfig(call, config);
    const request = settingsRequest(said, { roles, sample: !call.flag("no-sample") }, kept);
    if (before && (await runsWhole(before))) {
      refuseOtherPorts(before, request);
      const instance = { layout, settings: await ensureSettings(layout, request) };
      steps.note(`This instance runs already (${layout.dataDir})`);
      if (await stopForProxies(instance, call.env)) steps.note(OTHER_PROXIES);
      // Processes that live are not yet an instance that works: an earlier start may have been interrupted.
      await settle(instance, call, steps);
      return 0;
    }
    await steps.step("machine checked", () => checkMachine(layout, request, before));
    const missing = roles.includes("edge") ? missingNeeds() : [];
    if (missing.length > 0) {
      const names = missing.map((need) => need.package).join(" ");
      steps.note(`Installing with apt-get, because they are missing: ${names}`);
      await steps.step("packages installed", () => installNeeds(missing, call.signal));
    }
    if (!kept && request.clusterCidr !== undefined) await checkPodNetwork(request.clusterCidr);
    const instance: Instance = { layout, settings: await ensureSettings(layout, request) };
    if (await stopForProxies(instance, call.env)) steps.note(OTHER_PROXIES);
    if (!kept && instance.settings.clusterCidr !== "10.42.0.0/16" && request.clusterCidr === undefined) {
      steps.note(
        `Pods get addresses from ${instance.settings.clusterCidr}, because 10.42.0.0/16 is taken on this machine`,
      );
    }
    if (call.flag("foreground")) {
      return await runForeground(instance, call, steps, async (start) => {
        await settle(instance, call, steps, start);
        // It stays as long as the daemons do, and other commands may control them meanwhile.
        lock[Symbol.dispose]();
      });
    }
    if (roles.includes("cloud")) {
      await steps.step("cloud started", async () => {
        await startInstanceDaemon(instance, "cloud");
        await waitForCloud(instance, call.signal);
      });
      await giveToCaller(layout.kubeconfig, call.env);
    }
    await settle(instance, call, steps);
    return 0;
  },
};

/** Everything after the cloud answers, as far as the instance has it: the edge joins and starts, the node is Ready, the sample runs. */
async function settle(instance: Instance, call: Call, steps: Steps, startEdge = startInstanceDaemon): Promise<void> {
  const { layout, settings } = instance;
  if (!settings.roles.includes("cloud")) return settleEdgeAlone(instance, call, steps, startEdge);
  await using client = await adminClient(layout);
  if (settings.roles.includes("edge")) await settleNode(instance, client, call, steps, startEdge);
  if (settings.sample) await settleSample(layout, client, call.signal, steps);
  steps.note(`Everything runs after ${steps.elapsed}`);
  const noKubectl = whyNoKubectl(instance.layout, call.env);
  if (noKubectl !== undefined) steps.note(noKubectl);
  printClosing(instance);
}

/** The edge of a cloud elsewhere runs and is in order; pods go on whether that cloud answers or not, so this is only said. */
async function settleEdgeAlone(
  instance: Instance,
  call: Call,
  steps: Steps,
  startEdge: typeof startInstanceDaemon,
): Promise<void> {
  const { layout, settings } = instance;
  const isRunning = (await runningDaemon(instance, "edge")) !== undefined;
  await steps.step(isRunning ? "edge runs" : "edge started", async () => {
    await startEdge(instance, "edge");
    await waitForEdge(instance, call.signal);
  });
  const away = await steps.step("edge asked for its cloud", async () => {
    let problem: string | undefined;
    await until(layout, call.signal, "the edge is not in order", async () => {
      const { link, problems } = await edgeStatus(layout);
      problem = link?.problem;
      if (problem !== undefined) return true;
      if (!link?.isSynced) return "its link is not in step yet";
      return problems.length === 0 || problems.map(({ what }) => what).join("; ");
    });
    return problem;
  });
  const cloud = `the cloud at ${hubText(settings)}`;
  steps.note(
    away === undefined
      ? `Everything runs after ${steps.elapsed}; node ${settings.nodeName} is linked to ${cloud}`
      : `The edge runs, but is not linked to ${cloud}: ${away}. Its pods go on, and it dials again by itself; see ${commandLine(layout, "status")}`,
  );
}

/** The edge beside the cloud has joined and runs, and its node is Ready. */
async function settleNode(
  instance: Instance,
  client: Client,
  call: Call,
  steps: Steps,
  startEdge: typeof startInstanceDaemon,
): Promise<void> {
  const { layout, settings } = instance;
  if (await isRevoked(client, layout, call.signal)) {
    steps.note(`Node ${settings.nodeName} was deleted from the cloud beside it, so this machine joins it again`);
    await stopInstanceDaemon(instance, "edge");
    await rm(layout.identity, { force: true });
  }
  if (!existsSync(layout.identity)) {
    await steps.step("edge joined", async () => {
      const token = await createJoinToken(client, layout, 600_000);
      await joinEdge(instance, { host: "127.0.0.1", port: settings.linkPort }, token, call.signal);
    });
  }
  const isRunning = (await runningDaemon(instance, "edge")) !== undefined;
  await steps.step(isRunning ? "edge runs" : "edge started", async () => {
    await startEdge(instance, "edge");
    await waitForEdge(instance, call.signal);
  });
  await steps.step(`node ${settings.nodeName} is Ready`, () =>
    until(layout, call.signal, `node ${settings.nodeName} is not Ready`, async () => {
      // What the API says may be from before a stop: the edge itself says whether it is linked and in order now.
      const { link, problems } = await edgeStatus(layout);
      if (problems.length > 0) return problems.map(({ what }) => what).join("; ");
      if (!link?.isSynced) return "its link is not in step yet";
      return nodeState(client, settings.nodeName, call.signal);
    }),
  );
}

async function settleSample(layout: Layout, client: Client, signal: AbortSignal, steps: Steps): Promise<void> {
  await steps.step(`sample ${SAMPLE_NAME} runs`, async () => {
    if (!existsSync(layout.sampleMark)) {
      await createSample(client, signal);
      await writeFileAtomic(layout.sampleMark, "");
    }
    await until(layout, signal, `the sample ${SAMPLE_NAME} does not run`, async () => {
      const progress = await sampleProgress(client, signal);
      const pods = (await edgeStatus(layout)).pods.filter(({ name }) => name.startsWith(`${SAMPLE_NAME}-`));
      const [late, ...others] = pods.filter(({ ready }) => !ready);
      // How many are late is part of it: one that got ready is progress, whichever is named.
      if (late)
        return `pod ${late.name} is ${late.reason || late.phase}${others.length > 0 ? `, and ${others.length} more are not ready` : ""}`;
      return !progress || progress.available >= progress.wanted
        ? true
        : `${progress.available} of ${progress.wanted} pods are available`;
    });
  });
}

/** Through sudo, the kubeconfig belongs to whoever called it: kubectl needs no root. */
async function giveToCaller(file: string, env: NodeJS.ProcessEnv): Promise<void> {
  const [uid, gid] = [Number(env["SUDO_UID"]), Number(env["SUDO_GID"])];
  if (Number.isInteger(uid) && Number.isInteger(gid)) await chown(file, uid, gid);
}

/** Whether the Node that this machine joined as was deleted, or is another's now: its certificate is worthless then. */
async function isRevoked(client: Client, layout: Layout, signal: AbortSignal): Promise<boolean> {
  const identity = await EdgeIdentity.load(layout.identity);
  if (!identity) return false;
  try {
    const node = await client.get(kinds.Node, { namespace: "", name: identity.node }, { signal });
    return node.decode().metadata.uid !== identity.uid;
  } catch (error) {
    if (isNotFound(error)) return true;
    throw error;
  }
}

/** Whether every daemon of an instance runs. */
async function runsWhole(instance: Instance): Promise<boolean> {
  const running = await Promise.all(instance.settings.roles.map((role) => runningDaemon(instance, role)));
  return running.every((each) => each !== undefined);
}

/** Refuses what is asked of a cloud where there is none, and an edge that has not joined its own. */
function refuseForEdgeAlone({ layout, settings }: Instance, call: Call): void {
  for (const name of ["api-port", "link-port", "cluster-cidr"]) {
    const source = call.source(name);
    if (source === undefined) continue;
    throw new UserError(
      `${source} concerns a cloud, but the instance in ${layout.dataDir} is an edge of the one at ${hubText(settings)}; ` +
        "leave it out, or make a cloud with another --data-dir",
    );
  }
  if (existsSync(layout.identity)) return;
  throw new UserError(
    `This machine has not joined the cloud at ${hubText(settings)} yet; join it with ${commandLine(layout, "join HOST:PORT TOKEN")}`,
  );
}

/** A daemon that runs keeps its ports. */
function refuseOtherPorts({ layout, settings }: Instance, { apiPort, linkPort }: SettingsRequest): void {
  const isOther =
    (apiPort ?? settings.apiPort) !== settings.apiPort || (linkPort ?? settings.linkPort) !== settings.linkPort;
  if (!isOther) return;
  throw new UserError(
    `This instance runs with --api-port ${settings.apiPort} --link-port ${settings.linkPort}; stop it with ${commandLine(layout, "down")} to change them`,
  );
}

/** Refuses what cannot become a running instance, before anything is made. What `up` itself mends is not looked at. */
async function checkMachine(layout: Layout, request: SettingsRequest, instance: Instance | undefined): Promise<void> {
  const context = {
    layout,
    instance,
    roles: request.roles,
    apiPort: request.apiPort ?? (instance?.settings ?? USUAL_PORTS).apiPort,
    linkPort: request.linkPort ?? (instance?.settings ?? USUAL_PORTS).linkPort,
    env: {},
    nowMs: systemClock.now(),
  };
  refuse(await hardProblems(context));
}

/** Refuses a pod network that the machine routes already. The program that tells may have come only with the packages. */
async function checkPodNetwork(cidr: string): Promise<void> {
  const conflict = conflictOf(cidr, await hostRoutes());
  if (!conflict) return;
  const what = `The pod network ${cidr} overlaps ${conflict.cidr} on ${conflict.device}`;
  refuse([{ what, mend: "choose another --cluster-cidr, or leave it out" }]);
}

async function nodeState(client: Client, name: string, signal: AbortSignal): Promise<true | string> {
  const node = (await client.get(kinds.Node, { namespace: "", name }, { signal })).decode();
  const ready = node.status?.conditions?.find((condition) => condition.type === "Ready");
  return ready?.status === "True" ? true : (ready?.message ?? "it has not reported yet");
}

/** Asks until the answer is true; an answer in words, or a failure, says what it still waits for. */
async function until(
  layout: Layout,
  signal: AbortSignal,
  what: string,
  ask: () => Promise<true | string>,
): Promise<void> {
  const begin = systemClock.monotonic();
  let since = begin;
  let last = "";
  for (;;) {
    const now = systemClock.monotonic();
    if (now >= since + STILL_TIMEOUT_MS || now >= begin + MAX_TIMEOUT_MS) break;
    let answer: true | string;
    try {
      answer = await ask();
    } catch (error) {
      signal.throwIfAborted();
      answer = (error as Error).message;
    }
    if (answer === true) return;
    if (answer !== last) since = now;
    last = answer;
    await systemClock.sleep(50, signal);
  }
  const seconds = Math.round((systemClock.monotonic() - begin) / 1000);
  throw new UserError(
    `After ${seconds} s ${what}: ${last}; see ${commandLine(layout, "check")} and ${commandLine(layout, "logs edge")}`,
  );
}

function printClosing({ layout, settings }: Instance): void {
  const ours = (words: string): string => commandLine(layout, words);
  console.log(`
API         https://127.0.0.1:${settings.apiPort}
kubeconfig  ${layout.kubeconfig}
logs        ${settings.roles.map((role) => ours(`logs ${role}`)).join(", ")}

Try:
  ${ours("kubectl get pods -o wide")}
  ${ours(`kubectl ${settings.sample ? `logs -l app=${SAMPLE_NAME}` : "get nodes"}`)}
  ${ours("status")}`);
}
