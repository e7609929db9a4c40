import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { it } from "node:test";
import { Machine } from "./machine.ts";

it("the config file says what neither flags nor the environment say, to the daemons too, and outlives down -v", async () => {
  await using machine = await Machine.create();
  const file = path.join(machine.dataDir, "etc/config.yaml");
  await mkdir(path.dirname(file));
  await writeFile(file, "api-port: 7443\nlink-port: 7000\nlog-level: silent\n");
  const server = async (): Promise<string | undefined> =>
    /server: (.*)/.exec(await readFile(machine.kubeconfig, "utf8"))?.[1];

  const up = await machine.exec("./skerry", ["up", "--no-sample", "--api-port", "7555"], {
    env: { SKERRY_LINK_PORT: "7111" },
  });
  assert.equal(up.code, 0, up.stdout + up.stderr);
  assert.equal(await server(), "https://127.0.0.1:7555");
  assert.match(await machine.skerry("cloud", "--print-config"), /^link-port: 7000 /m);
  assert.equal(await machine.skerry("logs", "cloud"), "", "its log level is the file's");
  await machine.skerry("down");
  await machine.skerry("up", "--no-sample");
  assert.equal(await server(), "https://127.0.0.1:7443", "what the file says outranks what was kept");

  // Nobody is there after a reboot to correct a line: the daemons go on without it. Who starts them by hand is.
  await machine.skerry("down");
  await writeFile(file, "log-level: debug\nlog_level: silent\ncluster-cidr: 10.9.0.0/16\n");
  const wrong = /config\.yaml:2: there is no "log_level"; the nearest is log-level, of /;
  for (const [daemon, running] of [
    ["cloud", "cloud serves"],
    ["edge", "the edge runs"],
  ] as const) {
    for (const words of [
      [daemon, "start"],
      [daemon, "--print-config"],
    ]) {
      const { code, stderr } = await machine.exec("./skerry", words);
      assert.equal(code, 2, stderr);
      assert.match(stderr, wrong);
    }
    const said = await machine.follow("./skerry", [daemon], (stdout) => stdout.includes(running), {
      timeoutMs: 120_000,
    });
    const error = said.split("\n").find((line) => line.startsWith('{"level":"error"')) ?? "";
    assert.match(JSON.parse(error).mistake, wrong);
  }
  for (const words of [["status"], ["check"]]) {
    const { code, stdout } = await machine.exec("./skerry", words);
    assert.equal(code, 1);
    assert.match(stdout, new RegExp(`${wrong.source}.*\\n +→ correct it; daemons go on `));
  }

  await machine.skerry("down", "-v");
  assert.match(await readFile(file, "utf8"), /^log-level: debug$/m);
  await writeFile(file, "api_port: 7443\n");
  for (const words of [["up"], ["join", "127.0.0.1:10000", "token"], ["cloud"]]) {
    const { code, stderr } = await machine.exec("./skerry", words);
    assert.equal(code, 2);
    assert.match(stderr, /^skerry: .*\/etc\/config\.yaml:1: there is no "api_port"; the nearest is api-port, of /);
  }
});
