import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parse, stringify } from "yaml";
import { kubectlPath, type KubectlVersion } from "../../../tools/kubectl/kubectl.ts";
import type { CommandOptions, Machine, Outcome } from "../machine.ts";

/** A real kubectl of one version that works in a namespace of its own on an instance. */
export class KubectlSession {
  readonly version: KubectlVersion;
  readonly namespace: string;
  readonly #machine: () => Machine;

  /** `machine` is asked for it when the first command runs. */
  constructor(machine: () => Machine, version: KubectlVersion) {
    this.#machine = machine;
    this.version = version;
    this.namespace = `of-kubectl-${version.replace(".", "-")}`;
  }

  get machine(): Machine {
    return this.#machine();
  }

  /** Where this session's files are. */
  get folder(): string {
    return path.join(this.machine.dataDir, this.namespace);
  }

  async start(): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await this.ok("create", "namespace", this.namespace);
  }

  /** What becomes of a command. */
  outcome(args: readonly string[], options: CommandOptions & { kubeconfig?: string } = {}): Promise<Outcome> {
    const all = ["--namespace", this.namespace, "--cache-dir", path.join(this.folder, "cache"), ...args];
    return this.machine.kubectlOutcome(all, { version: this.version, timeoutMs: 60_000, ...options });
  }

  /** What a command prints that succeeds. */
  async ok(...args: string[]): Promise<string> {
    return succeeded(args, await this.outcome(args));
  }

  /** The same of a command that reads manifests from its standard input (`-f -`). */
  async given(input: string | object, ...args: string[]): Promise<Outcome> {
    const text = typeof input === "string" ? input : JSON.stringify(input);
    const outcome = await this.outcome([...args, "-f", "-"], { input: text });
    succeeded(args, outcome);
    return outcome;
  }

  /** What a command complains of that fails. */
  async fails(...args: string[]): Promise<string> {
    return failed(args, await this.outcome(args));
  }

  async refuses(input: string | object, ...args: string[]): Promise<string> {
    const text = typeof input === "string" ? input : JSON.stringify(input);
    return failed(args, await this.outcome([...args, "-f", "-"], { input: text }));
  }

  /** What a command prints that goes on until it printed enough. */
  follow(args: readonly string[], isEnough: (stdout: string) => boolean): Promise<string> {
    const { kubeconfig } = this.machine;
    return this.machine.follow(
      kubectlPath(this.version),
      ["--kubeconfig", kubeconfig, "--namespace", this.namespace, ...args],
      isEnough,
    );
  }

  /** One value of an object. */
  value(object: string, jsonPath: string): Promise<string> {
    return this.ok("get", object, "-o", `jsonpath={${jsonPath}}`);
  }

  async write(name: string, content: string, mode = 0o600): Promise<string> {
    const file = path.join(this.folder, name);
    await writeFile(file, content, { mode });
    return file;
  }

  /** A kubeconfig for who has this token, and no certificate. */
  async kubeconfigFor(name: string, token: string): Promise<string> {
    const config = parse(await readFile(this.machine.kubeconfig, "utf8")) as { users: { user: object }[] };
    for (const each of config.users) each.user = { token };
    return this.write(name, stringify(config));
  }
}

function succeeded(args: readonly string[], { code, stdout, stderr }: Outcome): string {
  assert.equal(code, 0, `kubectl ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

function failed(args: readonly string[], { code, stdout, stderr }: Outcome): string {
  assert.notEqual(code, 0, `kubectl ${args.join(" ")} succeeded:\n${stdout}${stderr}`);
  return stderr;
}

/** The words above the columns of a table. */
export const columnsOf = (table: string): string[] => (table.split("\n")[0] ?? "").trimEnd().split(/ {2,}/);

/** The lines of a table below the words. */
export const rowsOf = (table: string): string[] => table.trimEnd().split("\n").slice(1);
