import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtempDisposable, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseCall, type Call } from "../command.ts";
import { cloud } from "../commands/cloud.ts";
import { configText, withConfigFile } from "./config-file.ts";
import { layoutOf, type Layout } from "./layout.ts";
import { settingsRequest } from "./request.ts";
import { ensureSettings } from "./settings.ts";

const SKERRY = fileURLToPath(new URL("../../../../bin/skerry.ts", import.meta.url));
const never = new AbortController().signal;

async function temporary(config: string): Promise<AsyncDisposable & { layout: Layout }> {
  const folder = await mkdtempDisposable(path.join(tmpdir(), "skerry-"));
  const layout = layoutOf(folder.path);
  await mkdir(layout.configDir);
  await writeFile(layout.configFile, config);
  return { layout, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

const called = (layout: Layout, words: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Call> =>
  withConfigFile(parseCall(cloud, words, env, never), layout);

describe("withConfigFile()", () => {
  it("ranks flags before the environment, that before the file, and the file before defaults", async () => {
    await using place = await temporary("api-port: 1001\nlink-port: 1002\ncluster-cidr: 10.9.0.0/16\nnode-name: n9\n");
    const env = { SKERRY_API_PORT: "2001", SKERRY_LINK_PORT: "2002", SKERRY_CLUSTER_CIDR: "" };
    const call = await called(place.layout, ["--api-port", "3001"], env);
    const got = ["api-port", "link-port", "cluster-cidr", "log-level"].map((name) => [
      call.option(name),
      call.source(name),
    ]);
    assert.deepEqual(got, [
      ["3001", "--api-port"],
      ["2002", "SKERRY_LINK_PORT"],
      ["10.9.0.0/16", `${place.layout.configFile}:3: cluster-cidr`],
      ["info", undefined],
    ]);
  });

  it("is as good as not there when there is no such file, or nothing in it", async () => {
    await using place = await temporary("# log-level: debug\n");
    assert.equal((await called(place.layout)).option("log-level"), "info");
    assert.equal((await called(layoutOf("/nowhere"))).option("log-level"), "info");
  });

  it("names file, line and the nearest right key of what it does not take", async () => {
    const complaintOf = async (config: string): Promise<string> => {
      await using place = await temporary(config);
      const { message }: Error = await called(place.layout).then(
        () => assert.fail(config),
        (error: Error) => error,
      );
      return message.replace(place.layout.configFile, "FILE");
    };
    assert.match(
      await complaintOf("log-level: debug\n\napi_port: 1\n"),
      /^FILE:3: there is no "api_port"; the nearest is api-port, of /,
    );
    assert.match(await complaintOf("loglevel: debug\n"), /the nearest is log-level, /);
    assert.equal(await complaintOf("api-port: [1, 2]\n"), "FILE:1: api-port takes one value");
    assert.equal(await complaintOf("log-level: debug\napi-port:\n"), "FILE:2: api-port takes one value");
    assert.match(await complaintOf("api-port: 1\napi-port: 2\n"), /^FILE:2: Map keys must be unique/);
    assert.match(await complaintOf("- api-port\n"), /^FILE:1: it takes lines like /);
  });

  it("says of a value that it does not take where it stands", async () => {
    await using place = await temporary("api-port: many\n");
    const call = await called(place.layout);
    assert.throws(() => settingsRequest(call, { roles: ["cloud"], sample: false }), {
      message: `${place.layout.configFile}:1: api-port takes a port between 1 and 65535, not "many"`,
    });
  });
});

describe("--print-config", () => {
  it("prints what holds with who said so, as a config file, and makes nothing", async () => {
    await using place = await temporary("link-port: 1002\n");
    const { layout } = place;
    const args = [SKERRY, "cloud", "--print-config", "--data-dir", layout.dataDir, "--api-port", "3001"];
    const env = { PATH: process.env["PATH"], SKERRY_LOG_LEVEL: "warn" };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    const lines = stdout.trimEnd().split("\n");
    assert.deepEqual(lines, [
      "api-port: 3001 # --api-port",
      `link-port: 1002 # ${layout.configFile}:1: link-port`,
      "# cluster-cidr: found out when the instance is made",
      "log-level: warn # SKERRY_LOG_LEVEL",
    ]);
    assert.deepEqual(await readdir(layout.dataDir), ["etc"]);
  });

  it("says what the instance has kept, and can be read back", async () => {
    await using place = await temporary("link-port: 1002\n");
    const { layout } = place;
    const request = { roles: ["cloud" as const], sample: false, clusterCidr: "10.9.0.0/16", apiPort: 4001 };
    const settings = await ensureSettings(layout, request);
    const printed = async (): Promise<string[]> => {
      const text = configText(await called(layout), settings, ["api-port", "link-port", "cluster-cidr", "log-level"]);
      return text.split("\n");
    };
    const lines = await printed();
    assert.deepEqual(lines, [
      "api-port: 4001 # kept by the instance",
      `link-port: 1002 # ${layout.configFile}:1: link-port`,
      "cluster-cidr: 10.9.0.0/16 # kept by the instance",
      "log-level: info # default",
    ]);
    await writeFile(layout.configFile, lines.join("\n"));
    const values = (all: string[]): string[] => all.map((line) => line.replace(/ #.*/, ""));
    assert.deepEqual(values(await printed()), values(lines));
  });
});
