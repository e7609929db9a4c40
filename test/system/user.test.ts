import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { eventually } from "@skerry/base/testing";
import { Machine, type Outcome } from "./machine.ts";

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, "../..");

/** A user of this machine who may use sudo for everything, with a home, and a clone of Skerry in it that works. */
class User implements AsyncDisposable {
  readonly name: string;
  readonly home: string;
  readonly clone: string;

  private constructor(name: string) {
    this.name = name;
    this.home = path.join("/var/tmp", name);
    this.clone = path.join(this.home, "skerry");
  }

  static async create(): Promise<User> {
    const user = new User(`skt-${randomBytes(4).toString("hex")}`);
    await run("useradd", ["--create-home", "--home-dir", user.home, "--shell", "/bin/bash", user.name]);
    await writeFile(user.#rights, `${user.name} ALL=(ALL) NOPASSWD: ALL\n`, { mode: 0o440 });
    await mkdir(user.clone);
    const names = ["bin", "node_modules", "package-lock.json", "package.json", "packages", "skerry", "tools"];
    await run("cp", ["-a", ...names.map((name) => path.join(ROOT, name)), user.clone]);
    // The set-up of this clone was done for the one that it is a copy of.
    await cp(path.join(ROOT, "package-lock.json"), path.join(user.clone, "node_modules/.skerry-lock"));
    await run("chown", ["-R", `${user.name}:`, user.home]);
    return user;
  }

  get #rights(): string {
    return path.join("/etc/sudoers.d", this.name);
  }

  /** What in the home is not the user's. */
  async foreignFiles(): Promise<string> {
    return (await run("find", [this.home, "!", "-user", this.name])).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#rights, { force: true });
    await run("userdel", [this.name]);
    await rm(this.home, { recursive: true, force: true });
  }
}

/** A folder with the few programs that the launcher needs: what a test adds to them is all else that there is. */
class Tools implements AsyncDisposable {
  readonly dir: string;
  readonly #user: User;

  private constructor(dir: string, user: User) {
    this.dir = dir;
    this.#user = user;
  }

  static async create(user: User): Promise<Tools> {
    const dir = await mkdtemp(path.join(user.home, "bin-"));
    await chmod(dir, 0o755);
    for (const name of ["bash", "readlink", "dirname", "stat", "id", "cmp", "grep", "paste"])
      await symlink((await run("which", [name])).stdout.trim(), path.join(dir, name));
    return new Tools(dir, user);
  }

  /** `./skerry up` with nothing in its environment but that folder as PATH and what is named here. */
  run(...environment: string[]): Promise<{ stdout: string; stderr: string }> {
    const { name, clone } = this.#user;
    const words = ["env", "-i", `PATH=${this.dir}`, ...environment, path.join(clone, "skerry"), "up"];
    return run("runuser", ["-u", name, "--", ...words]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.dir, { recursive: true });
  }
}

describe("A user without root", () => {
  let user: User;
  before(async () => {
    user = await User.create();
  });
  after(() => user[Symbol.asyncDispose]());

  it("brings an instance up and down through sudo, uses kubectl without, and keeps every file", async () => {
    await using machine = await Machine.create();
    await chmod(machine.dataDir, 0o711);
    const skerry = (...args: string[]): Promise<Outcome> =>
      machine.exec("runuser", ["-u", user.name, "--", path.join(user.clone, "skerry"), ...args]);

    const up = await skerry("up");
    assert.equal(up.code, 0, up.stdout + up.stderr);
    assert.match(up.stderr, /^skerry: 'up' needs root; running it through sudo$/m);
    assert.equal(await user.foreignFiles(), "");

    const kubeconfig = (await skerry("kubeconfig")).stdout.trim();
    const { uid, mode } = await stat(kubeconfig);
    assert.equal(uid, (await stat(user.home)).uid);
    assert.equal(mode & 0o777, 0o600);
    const nodes = await skerry("kubectl", "get", "nodes");
    assert.match(nodes.stdout, /\bReady\b/, nodes.stderr);
    assert.equal(nodes.stderr, "");

    // The cloud writes its kubeconfig when it starts.
    for (const verb of ["stop", "start"]) {
      const { code, stdout, stderr } = await skerry("cloud", verb);
      assert.equal(code, 0, stdout + stderr);
    }
    await eventually(async () => (await skerry("status")).code === 0, {
      what: "status to be good",
      timeoutMs: 60_000,
      everyMs: 500,
    });
    assert.equal((await stat(kubeconfig)).uid, uid);
    assert.equal((await skerry("kubectl", "get", "pods")).code, 0);

    const down = await skerry("down", "-v");
    assert.equal(down.code, 0, down.stdout + down.stderr);
    assert.deepEqual(await machine.leftovers(), { mounts: [], processes: [], links: [], rules: [] });
    assert.equal(await user.foreignFiles(), "");
  });

  it("hands on through sudo what Skerry, apt and npm read of the environment, and nothing else", async () => {
    await using tools = await Tools.create(user);
    await writeFile(path.join(tools.dir, "sudo"), '#!/bin/bash\nprintf "%s\\n" "$@"\n', { mode: 0o755 });
    const { stdout } = await tools.run(
      "SKERRY_DATA_DIR=/d",
      "https_proxy=http://p",
      "HTTPS_PROXY=http://p",
      "SECRET=s",
    );
    assert.deepEqual(stdout.split("\n"), [
      "--preserve-env=HTTPS_PROXY,SKERRY_DATA_DIR,https_proxy",
      path.join(user.clone, "skerry"),
      "up",
      "",
    ]);
  });

  it("hands proxies on to apt through sudo, which brings npm, in the letters that apt reads", async () => {
    await using tools = await Tools.create(user);
    await writeFile(path.join(tools.dir, "sudo"), '#!/bin/bash\necho "$https_proxy $*"\n', { mode: 0o755 });
    await writeFile(path.join(tools.dir, "apt-get"), "", { mode: 0o755 });
    await writeFile(path.join(tools.dir, "uname"), "#!/bin/bash\necho x86_64\n", { mode: 0o755 });
    await writeFile(path.join(tools.dir, "getconf"), "#!/bin/bash\necho 64\n", { mode: 0o755 });
    const stale = path.join(user.clone, "node_modules/.skerry-lock");
    await writeFile(stale, "");
    try {
      const failure = await tools.run("HTTPS_PROXY=http://me:secret@p").then(
        () => assert.fail("there is no npm"),
        (error: Outcome) => error.stderr,
      );
      const asked = failure.split("\n").filter((line) => line.includes("apt-get ") && line.startsWith("http"));
      assert.deepEqual(
        asked.map((line) => line.replace(/ (-y|npm) .*/, "")),
        [
          "http://me:secret@p --preserve-env=https_proxy apt-get update -qq",
          "http://me:secret@p --preserve-env=https_proxy env DEBIAN_FRONTEND=noninteractive apt-get install",
        ],
      );
    } finally {
      await cp(path.join(ROOT, "package-lock.json"), stale);
      await run("chown", [`${user.name}:`, stale]);
    }
  });

  it("is told in a line what root is needed for when there is no sudo", async () => {
    await using tools = await Tools.create(user);
    const launcher = path.join(user.clone, "skerry");
    await assert.rejects(tools.run("SKERRY_DATA_DIR=/srv/it's mine"), {
      code: 1,
      stderr: `skerry: 'up' needs root, and there is no sudo here; as root, run: SKERRY_DATA_DIR=/srv/it\\'s\\ mine ${launcher} up\n`,
    });
  });

  it("is told in a line that programs of 32 bits will not do, before anything is installed", async () => {
    await using tools = await Tools.create(user);
    const stamp = path.join(user.clone, "node_modules/.skerry-lock");
    await rm(stamp);
    const answers = { uname: "aarch64", getconf: "32", "apt-get": "installing" };
    for (const [name, answer] of Object.entries(answers))
      await writeFile(path.join(tools.dir, name), `#!/bin/bash\necho ${answer}\n`, { mode: 0o755 });
    await assert.rejects(tools.run(), {
      code: 1,
      stdout: "",
      stderr:
        "skerry: this needs a 64-bit system for x86-64 or arm64, but this one's programs are 32-bit on aarch64; " +
        "install a 64-bit system (Raspberry Pi OS has one)\n",
    });
  });
});
