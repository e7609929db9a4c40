import { execFile } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { DEBIAN_STATIC_PROGRAMS, isStaticBinary } from "@skerry/agent";
import { hasSystemd, proxiesOf, runCommand } from "@skerry/base";
import { UserError } from "../command.ts";

const run = promisify(execFile);

/** Something the edge needs of the machine, and the Debian package that brings it. */
export interface Need {
  readonly name: string;
  readonly package: string;
  /** Absolute paths, any of which satisfies it; a bare name is looked for in PATH and the sbin folders. */
  readonly anyOf: readonly string[];
  /** It becomes part of an image, so it must run without any other file. */
  readonly isStatic?: true;
  /** A systemd unit that the package starts when it is installed, and at each boot. Ours is a private instance, so it does neither. */
  readonly service?: string;
}

/** Where CNI plugins are: Debian's folder first, then the one that upstream's archives are unpacked to. */
export const CNI_BIN_DIRS = ["/usr/lib/cni", "/opt/cni/bin"] as const;

export const EDGE_NEEDS: readonly Need[] = [
  { name: "containerd", package: "containerd", anyOf: ["containerd"], service: "containerd.service" },
  { name: "runc", package: "runc", anyOf: ["runc"] },
  { name: "CNI plugins", package: "containernetworking-plugins", anyOf: CNI_BIN_DIRS.map((dir) => `${dir}/bridge`) },
  { name: "iptables", package: "iptables", anyOf: ["iptables"] },
  { name: "ip", package: "iproute2", anyOf: ["ip"] },
  { name: "busybox", package: "busybox-static", anyOf: [DEBIAN_STATIC_PROGRAMS.busybox], isStatic: true },
  { name: "catatonit", package: "catatonit", anyOf: [DEBIAN_STATIC_PROGRAMS.catatonit], isStatic: true },
];

/** Folders of administrators' programs, which a user's PATH and sudo's may leave out. */
const EXTRA_PATH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The path of a program, or undefined when the machine has none. */
export function findProgram(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const candidates = name.startsWith("/")
    ? [name]
    : [...(env["PATH"] ?? "").split(":"), ...EXTRA_PATH].filter((dir) => dir !== "").map((dir) => path.join(dir, name));
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false; // not there, or not ours to run: the next one
    }
  });
}

/** What the machine lacks. */
export const missingNeeds = (needs: readonly Need[] = EDGE_NEEDS): Need[] =>
  needs.filter((need) => whyMissing(need) !== undefined);

/** Why nothing on this machine satisfies a need; undefined when something does. */
export function whyMissing({ name, anyOf, isStatic }: Need): string | undefined {
  const found = anyOf.map((program) => findProgram(program)).filter((file) => file !== undefined);
  const [first] = found;
  if (first === undefined) return `${name} is missing`;
  if (!isStatic || found.some((file) => isStaticBinary(readFileSync(file)))) return undefined;
  return `${first} is linked dynamically, so it cannot run in the built-in images`;
}

/** Installs the packages of what is missing, and nothing else; what is there, whoever brought it, stays untouched. */
export async function installNeeds(needs: readonly Need[], signal: AbortSignal): Promise<void> {
  const packages = [...new Set(needs.map((need) => need.package))];
  if (!findProgram("apt-get")) {
    throw new UserError(
      `This machine lacks ${needs.map((need) => need.name).join(", ")} and has no apt-get; ` +
        `install what Debian calls ${packages.join(" ")} with its own package manager, then run this again`,
    );
  }
  const proxies = proxiesOf(process.env);
  const env = {
    ...process.env,
    // apt reads them in small letters alone (apt-transport-http(1)).
    ...(proxies && { http_proxy: proxies.http, https_proxy: proxies.https, no_proxy: proxies.no }),
    DEBIAN_FRONTEND: "noninteractive",
  };
  const options = { env, signal, maxBuffer: 16 << 20 };
  await using _ = await keepStopped(
    needs.flatMap(({ service }) => service ?? []),
    signal,
  );
  const install = ["install", "-y", "-qq", "--no-install-recommends", ...packages];
  try {
    await run("apt-get", install, options);
    return;
  } catch {
    signal.throwIfAborted();
    // The lists may be missing or old: fetched once, then tried again.
  }
  try {
    await run("apt-get", ["update", "-qq"], options);
    await run("apt-get", install, options);
  } catch (error) {
    signal.throwIfAborted();
    const text = String((error as { stderr?: string }).stderr ?? (error as Error).message);
    const reason = text.split("\n").find((line) => line.startsWith("E:")) ?? text.trim().split("\n").at(-1);
    throw new UserError(`apt-get install ${packages.join(" ")} failed: ${reason}`, { cause: error });
  }
}

/**
 * Keeps services from starting while their packages are installed, and afterwards at boot. A masked unit is not started, whatever a package's
 * scripts ask for; whether it starts at boot can be told only once its package is there (deb-systemd-helper(1p)).
 */
async function keepStopped(services: readonly string[], signal: AbortSignal): Promise<AsyncDisposable> {
  if (services.length === 0 || !hasSystemd()) return { [Symbol.asyncDispose]: async () => {} };
  await runCommand("systemctl", ["mask", "--runtime", "--quiet", ...services], { signal });
  return {
    [Symbol.asyncDispose]: async () => {
      await runCommand("systemctl", ["unmask", "--runtime", "--quiet", ...services]);
      // Complains of one that is not there because it could not be installed.
      await runCommand("systemctl", ["disable", "--quiet", ...services]).catch(() => {});
    },
  };
}
