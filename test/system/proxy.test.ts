import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { lstat, mkdir, mkdtempDisposable, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { isMissingFile, namesIn } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import { HttpProxy } from "../http-proxy.ts";
import { Machine } from "./machine.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const LINK = 10_000;

/** A proxy in a machine's network that leads to `cloud.example` there, and to nothing else. */
class MachineProxy implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #requests: string[];

  private constructor(url: string, child: ChildProcess, requests: string[]) {
    this.url = url;
    this.#child = child;
    this.#requests = requests;
  }

  static async start({ netns }: Machine): Promise<MachineProxy> {
    const program = [path.join(import.meta.dirname, "proxy.child.ts"), "me:secret", `cloud.example:${LINK}`];
    const words = [`--net=/run/netns/${netns}`, "--", process.execPath, ...program];
    const child = spawn("nsenter", words, { stdio: ["ignore", "pipe", "inherit"] });
    const requests: string[] = [];
    const lines = createInterface({ input: child.stdout });
    const [url] = (await once(lines, "line")) as [string];
    lines.on("line", (line) => requests.push(line));
    return new MachineProxy(url, child, requests);
  }

  /** Resolves when it is asked for an authority from now on. */
  async asked(authority: string): Promise<void> {
    const before = this.#requests.length;
    await eventually(() => this.#requests.indexOf(`CONNECT ${authority}`, before) !== -1, {
      what: `the proxy to be asked for ${authority}`,
      timeoutMs: 90_000,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}

/** Files of an instance that others than root may read, and that hold a text. */
async function readableWith(text: string, dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn(dir)) {
    const file = path.join(dir, name);
    try {
      const kind = await lstat(file);
      if (kind.isDirectory()) found.push(...(await readableWith(text, file)));
      // Namespaces are mounted as files that cannot be read, and are empty.
      if (!kind.isFile() || kind.size === 0 || (kind.mode & 0o044) === 0) continue;
      if ((await readFile(file)).includes(text)) found.push(file);
    } catch (error) {
      // Those who run go on: what was there may be gone, such as a part of an image that was being pulled.
      if (!isMissingFile(error)) throw error;
    }
  }
  return found;
}

describe("A machine behind a proxy", () => {
  it("pulls images and joins a cloud through it, over down and up, and tells nobody its password", async () => {
    await using machine = await Machine.create();
    await using proxy = await MachineProxy.start(machine);
    const env = { HTTPS_PROXY: proxy.url };
    const up = await machine.exec("./skerry", ["up", "--no-sample"], { env });
    assert.equal(up.code, 0, up.stdout + up.stderr);
    const pulled = proxy.asked("registry.example:443");
    await machine.kubectl("run", "app", "--image=registry.example/app:1");
    await pulled;
    const { stdout: check } = await machine.exec("./skerry", ["check"]);
    assert.match(check, /^✓ proxy: https: through http:\/\/127\.0\.0\.1:\d+$/m);

    // Another environment: what `up` was told once holds.
    await machine.skerry("down");
    const again = proxy.asked("registry.example:443");
    await machine.skerry("up", "--no-sample");
    await again;
    const events = await machine.kubectl("get", "events", "-o", "json");
    assert.match(events, /registry\.example/);
    for (const [what, text] of Object.entries({
      check,
      events,
      status: (await machine.exec("./skerry", ["status"])).stdout,
    }))
      assert.ok(!text.includes("secret"), what);

    await using other = await mkdtempDisposable(`${machine.dataDir}-`);
    const there = ["--data-dir", other.path];
    const token = (await machine.skerry("token", "create")).trim();
    try {
      const words = ["join", `cloud.example:${LINK}`, token, "--node-name", "far", ...there];
      const joined = await machine.exec("./skerry", words, { env });
      assert.equal(joined.code, 0, joined.stdout + joined.stderr);
      await eventually(async () => /^far +Ready /m.test(await machine.kubectl("get", "nodes")), {
        what: "the node far to be Ready through the proxy",
        timeoutMs: 60_000,
        everyMs: 300,
      });
      for (const dir of [machine.dataDir, other.path]) assert.deepEqual(await readableWith("me:secret", dir), []);
    } finally {
      await machine.skerry("down", "-v", ...there);
    }
  });
});

describe("apt behind a proxy", () => {
  it("is asked to go through it, in whatever letters the environment names it", async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), "skerry-apt-"));
    await using proxy = await HttpProxy.start();
    const dirs = ["lists/partial", "cache/archives/partial", "log", "parts"];
    for (const dir of dirs) await mkdir(path.join(folder.path, dir), { recursive: true });
    const at = (name: string): string => path.join(folder.path, name);
    await writeFile(at("sources.list"), "deb [trusted=yes] http://debian.example/debian stable main\n");
    await writeFile(
      at("apt.conf"),
      `Dir::Etc::sourcelist "${at("sources.list")}"; Dir::Etc::sourceparts "${at("parts")}"; Dir::Etc::parts "${at("parts")}"; Dir::State::lists "${at("lists")}"; Dir::Cache "${at("cache")}"; Acquire::Retries "0";`,
    );
    const program = `
      import { installNeeds } from "./packages/cli/src/setup/packages.ts";
      await installNeeds([{ name: "none", package: "skerry-none", anyOf: [] }], AbortSignal.timeout(60_000));
    `;
    const { http_proxy: _, ...others } = process.env;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      cwd: ROOT,
      env: { ...others, APT_CONFIG: at("apt.conf"), HTTP_PROXY: proxy.url },
      stdio: "ignore",
    });
    const [code] = (await once(child, "exit")) as [number];
    assert.notEqual(code, 0, "there is no such package");
    assert.ok(
      proxy.requests.some((each) => each.startsWith("GET http://debian.example/debian/")),
      String(proxy.requests),
    );
  });
});
