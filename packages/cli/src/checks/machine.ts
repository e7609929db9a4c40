import { X509Certificate } from "node:crypto";
import { access, readFile, statfs } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { proxiesOf, proxyUrl, readPidFile, runCommand, shownProxy, type Proxies } from "@skerry/base";
import { UserError } from "../command.ts";
import type { Instance } from "../instance/instance.ts";
import { conflictOf, hostRoutes } from "../instance/cluster-cidr.ts";
import { pidFileOf, type Layout } from "../instance/layout.ts";
import { problemsOfProxies, readProxies } from "../instance/proxies.ts";
import { EDGE_NEEDS, findProgram, whyMissing } from "../setup/packages.ts";

/** Something that is wrong, and what mends it. */
export interface Problem {
  what: string;
  mend: string;
}

/** One thing that is looked at. */
export interface Check {
  readonly name: string;
  /** What is to be known of it, be it in order or not. */
  note?(context: CheckContext): Promise<string | undefined>;
  run(context: CheckContext): Promise<Problem[]>;
}

export interface CheckContext {
  layout: Layout;
  /** Absent before the first `up`. */
  instance: Instance | undefined;
  /** What this machine is or will be. */
  roles: readonly ("cloud" | "edge")[];
  apiPort: number;
  linkPort: number;
  env: NodeJS.ProcessEnv;
  nowMs: number;
}

/** Room for images and logs; below it pulls fail halfway. */
const LEAST_DISK_BYTES = 2 * 1024 ** 3;
/** A clock before this has lost its battery: no certificate is valid yet. */
const EARLIEST_TIME_MS = Date.UTC(2026, 0, 1);
const CERTIFICATE_WARNING_MS = 7 * 24 * 3600 * 1000;

const text = (file: string): Promise<string> => readFile(file, "utf8").catch(() => "");

const kernel: Check = {
  name: "kernel",
  run: async () => {
    const problems: Problem[] = [];
    const filesystems = await text("/proc/filesystems");
    if (!/\boverlay\b/.test(filesystems) && !(await hasModule("overlay"))) {
      problems.push({
        what: "The kernel offers no overlay file system, which images are mounted with",
        mend: "use a kernel with CONFIG_OVERLAY_FS, or where its module lies elsewhere, load it with: modprobe overlay",
      });
    }
    if (!(await exists("/proc/self/ns/net"))) {
      problems.push({ what: "The kernel has no network namespaces", mend: "use a kernel with CONFIG_NET_NS" });
    }
    return problems;
  },
};

const cgroups: Check = {
  name: "cgroups",
  run: async ({ roles }) => {
    if (!roles.includes("edge")) return [];
    const v2 = await text("/sys/fs/cgroup/cgroup.controllers");
    const v1 = await text("/proc/cgroups");
    const has = (name: string): boolean =>
      v2 !== "" ? v2.split(/\s+/).includes(name) : new RegExp(`^${name}\\s+\\d+\\s+\\d+\\s+1$`, "m").test(v1);
    return ["memory", "cpu"]
      .filter((name) => !has(name))
      .map((name) => ({
        what: `The ${name} cgroup is off, so no pod with limits can run`,
        mend:
          name === "memory"
            ? "add cgroup_enable=memory cgroup_memory=1 to the kernel's command line (on a Raspberry Pi: /boot/firmware/cmdline.txt) and reboot"
            : "use a kernel with CONFIG_CGROUP_SCHED",
      }));
  },
};

const programs: Check = {
  name: "programs",
  run: async ({ roles }) =>
    roles.includes("edge")
      ? EDGE_NEEDS.flatMap((need) => {
          const what = whyMissing(need);
          const mend = `apt-get install ${need.package}`;
          return what === undefined ? [] : [{ what, mend }];
        })
      : [],
};

const ports: Check = {
  name: "ports",
  run: async ({ layout, roles, apiPort, linkPort }) => {
    if (!roles.includes("cloud") || (await readPidFile(pidFileOf(layout, "cloud")))) return [];
    const problems: Problem[] = [];
    for (const [port, flag] of [
      [apiPort, "--api-port"],
      [linkPort, "--link-port"],
    ] as const) {
      if (!(await isTaken(port))) continue;
      problems.push({
        what: `Port ${port} is taken by another program`,
        mend: `find it with: ss -ltnp 'sport = :${port}', or choose another with ${flag}`,
      });
    }
    return problems;
  },
};

const network: Check = {
  name: "network",
  run: async ({ instance, roles }) => {
    if (
      !roles.includes("edge") ||
      !instance?.settings.clusterCidr ||
      (await readPidFile(pidFileOf(instance.layout, "edge")))
    ) {
      return [];
    }
    // A bridge of ours from before is no conflict; it carries the instance's id.
    const routes = (await hostRoutes()).filter((route) => !route.device.includes(instance.settings.id.slice(0, 6)));
    const conflict = conflictOf(instance.settings.clusterCidr, routes);
    return conflict
      ? [
          {
            what: `The pod network ${instance.settings.clusterCidr} overlaps ${conflict.cidr} on ${conflict.device}`,
            mend: "remove that route, or make the instance anew with another --cluster-cidr",
          },
        ]
      : [];
  },
};

const disk: Check = {
  name: "disk",
  run: ({ layout }) => roomProblems(layout, { leastBytes: LEAST_DISK_BYTES, leastFiles: 10_000 }),
};

/** What an instance's disk has less of than it should. */
export async function roomProblems(
  { dataDir }: Layout,
  { leastBytes, leastFiles }: { leastBytes: number; leastFiles: number },
): Promise<Problem[]> {
  let dir = dataDir;
  while (!(await exists(dir)) && dir !== "/") dir = path.dirname(dir);
  const { bavail, bsize, ffree, files } = await statfs(dir);
  const problems: Problem[] = [];
  if (bavail * bsize < leastBytes) {
    problems.push({
      what: `Only ${Math.round((bavail * bsize) / 2 ** 20)} MiB are free for ${dataDir}`,
      mend: "free some space there, or move the instance with --data-dir",
    });
  }
  if (files > 0 && ffree < leastFiles) {
    problems.push({ what: `Only ${ffree} files more fit into ${dataDir}`, mend: "remove files there" });
  }
  return problems;
}

const clock: Check = {
  name: "clock",
  run: async ({ nowMs }) =>
    nowMs < EARLIEST_TIME_MS
      ? [
          {
            what: `The clock says ${new Date(nowMs).toISOString().slice(0, 10)}, so every certificate looks not yet valid`,
            mend: "set it, or run an NTP client (timedatectl set-ntp true)",
          },
        ]
      : [],
};

const certificates: Check = {
  name: "certificates",
  run: async ({ layout, nowMs }) => {
    const problems: Problem[] = [];
    // The first certificate of the file is the edge's own.
    const pem = await text(layout.identity);
    const own = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(pem)?.[0];
    if (own === undefined) return problems;
    const left = new X509Certificate(own).validToDate.getTime() - nowMs;
    if (left < CERTIFICATE_WARNING_MS) {
      problems.push({
        what:
          left < 0
            ? "The edge's certificate has expired"
            : `The edge's certificate expires in ${Math.ceil(left / 86_400_000)} days and has not been renewed`,
        mend: "let the edge reach its cloud: it renews by itself",
      });
    }
    return problems;
  },
};

/** How long a proxy may take to accept a connection. */
const PROXY_MS = 3_000;

/** Where the proxies of the instance are kept, and what they are; before there is one, what `up` would keep. */
const proxiesIn = async ({ layout, instance, env }: CheckContext): Promise<Proxies> =>
  (instance ? undefined : proxiesOf(env)) ?? (await readProxies(layout));

const proxy: Check = {
  name: "proxy",
  note: async (context) => {
    const { http, https, no } = await proxiesIn(context);
    const names = Object.entries({ "http:": http, "https:": https }).flatMap(([scheme, text]) => {
      const url = proxyUrl(text);
      return url ? [`${scheme} through ${shownProxy(url)}`] : [];
    });
    return names.length === 0 ? undefined : `${names.join(", ")}${no === "" ? "" : `, but for ${no}`}`;
  },
  run: async (context) => {
    const proxies = await proxiesIn(context);
    const problems: Problem[] = problemsOfProxies(proxies).map((what) => ({
      what,
      mend: `start the edge with another in the environment, or correct ${context.layout.proxies}`,
    }));
    const urls = [proxies.http, proxies.https].flatMap((text) => proxyUrl(text) ?? []);
    for (const url of new Map(urls.map((each) => [each.host, each])).values()) {
      if (await accepts(url)) continue;
      problems.push({
        what: `The proxy ${shownProxy(url)} is not reached`,
        mend: `look whether it runs; or up again with another, or with HTTP_PROXY= HTTPS_PROXY= for none`,
      });
    }
    return problems;
  },
};

export const CHECKS: readonly Check[] = [kernel, cgroups, programs, ports, network, disk, clock, certificates, proxy];

/** Whether something accepts connections where a proxy should be. */
function accepts(url: URL): Promise<boolean> {
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const socket = net.connect({ host: url.hostname.replace(/^\[|\]$/g, ""), port, timeout: PROXY_MS });
  return new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("timeout", () => resolve(false));
    socket.once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}

/** Of what these look at, `up` and `join` can mend nothing, and no instance works without it. */
const HARD: readonly Check[] = [kernel, cgroups, ports, clock];

/** What keeps this machine from being an instance, whatever is installed on it. */
export const hardProblems = async (context: CheckContext): Promise<Problem[]> =>
  (await Promise.all(HARD.map((check) => check.run(context)))).flat();

/** Refuses a machine with problems, each in a line. */
export function refuse(problems: readonly Problem[]): void {
  if (problems.length > 0) throw new UserError(problems.map(({ what, mend }) => `${what}; ${mend}`).join("\nskerry: "));
}

/** Whether the kernel has a module that it loads when it is first used. */
const hasModule = (name: string): Promise<boolean> =>
  runCommand(findProgram("modprobe") ?? "modprobe", ["--dry-run", "--quiet", name]).then(
    () => true,
    () => false, // no such module, or nothing that could tell
  );

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** Whether something listens on a TCP port of this machine already. */
export function isTaken(port: number, host = "0.0.0.0"): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(true));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(false)));
  });
}
