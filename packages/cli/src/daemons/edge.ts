import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import {
  Agent,
  cgroupSetup,
  EdgeIdentity,
  HubDialer,
  linuxCgroups,
  PrivateContainerd,
  type HubAddress,
} from "@skerry/agent";
import { hasSystemd, proxyFor, shownProxy, systemClock, type Logger } from "@skerry/base";
import { commandLine } from "../instance/command-line.ts";
import type { Instance } from "../instance/instance.ts";
import { edgeSocketOf } from "../instance/layout.ts";
import { containerdProxies, readProxies } from "../instance/proxies.ts";
import { unitName } from "../instance/units.ts";

export interface EdgeOptions {
  instance: Instance;
  hub: HubAddress;
  log: Logger;
}

/** The containers of an instance, as its agent and the commands that end it reach them. */
export async function containersOf({ layout, settings }: Instance, log: Logger): Promise<PrivateContainerd> {
  return new PrivateContainerd({
    instance: settings.id,
    unit: hasSystemd() ? unitName({ layout, settings }, "containerd") : undefined,
    dataDir: layout.edgeDir,
    runDir: layout.runDir,
    logDir: layout.logDir,
    env: containerdProxies(await readProxies(layout), { settings }),
    log,
  });
}

/** A shim that belongs to no sandbox for so long is nobody's: one that is being made is younger. */
const STRAY_AGE_MS = 5_000;

/** One edge, put together: private containerd, agent and link. */
export class Edge implements AsyncDisposable {
  readonly #options: EdgeOptions;
  readonly #stack = new AsyncDisposableStack();
  readonly #stop = new AbortController();

  constructor(options: EdgeOptions) {
    this.#options = options;
  }

  /** Resolves when everything has begun; neither cloud nor containerd need answer for that. */
  async start(): Promise<void> {
    const { instance, hub, log } = this.#options;
    const { layout, settings } = instance;
    const identity = await EdgeIdentity.load(layout.identity);
    if (!identity) {
      throw new Error(
        `This machine has not joined a cloud: there is no ${layout.identity}; use ${commandLine(layout, "join HOST:PORT TOKEN")}, or ${commandLine(layout, "up")}`,
      );
    }
    const proxy = proxyFor(await readProxies(layout), hub);
    if (proxy) log.info({ proxy: shownProxy(proxy) }, "the cloud is reached through a proxy");
    const containers = this.#stack.use(await containersOf(instance, log));
    containers.start();
    const dialer = new HubDialer({ address: hub, proxy, identity, clock: systemClock, log });
    const { driver } = await cgroupSetup();
    const agent = this.#stack.use(
      new Agent({
        dataDir: layout.edgeDir,
        nodeName: identity.node,
        nodeUid: identity.uid,
        runtime: containers.runtime,
        containersEnded: existsSync(layout.endedMark),
        runtimeCalls: containers.runtime.calls,
        socket: edgeSocketOf(layout),
        cgroups: linuxCgroups({ instance: settings.id, driver }),
        link: {
          dial: (signal) => dialer.dial(signal),
          onOpened: (session) => void dialer.renewIfDue(session, this.#stop.signal),
        },
        configureNetwork: async (podCidr, signal) => {
          await containers.setUpNetwork(podCidr, signal);
          // Without the image that holds a pod's namespaces there are no pods either.
          await containers.supervisor.whenServing(signal);
          await containers.ensureBuiltinImages(signal);
        },
        reclaim: (_sandboxes, signal) => containers.clearStrays(STRAY_AGE_MS, signal),
        endByForce: containers.endByForce,
        commandLine: (words) => commandLine(layout, words),
        log,
      }),
    );
    await agent.start();
    await rm(layout.endedMark, { force: true });
  }

  /** Ends the agent. Containerd and the pods go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("The edge stops"));
    await this.#stack.disposeAsync();
  }
}
