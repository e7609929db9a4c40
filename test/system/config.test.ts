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

  await machine.skerry("down", "-v");
  assert.match(await readFile(file, "utf8"), /^api-port: 7443$/m);
  await writeFile(file, "api_port: 7443\n");
  const { code, stderr } = await machine.exec("./skerry", ["up"]);
  assert.equal(code, 2);
  assert.match(stderr, /^skerry: .*\/etc\/config\.yaml:1: there is no "api_port"; the nearest is api-port, of /);
});
