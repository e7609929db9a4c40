import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtempDisposable, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parse } from "yaml";
import { parseCall, type Call } from "../command.ts";
import { cloud } from "../commands/cloud.ts";
import { configText, parseConfig, readConfig, requireConfig, withConfig } from "./config-file.ts";
import { layoutOf, type Layout } from "./layout.ts";
import { settingsRequest } from "./request.ts";
import { ensureSettings, type Settings } from "./settings.ts";
import { TEST_SETTINGS as settings } from "./test-settings.ts";

const SKERRY = fileURLToPath(new URL("../../../../bin/skerry.ts", import.meta.url));
const never = new AbortController().signal;

async function temporary(config: string): Promise<AsyncDisposable & { layout: Layout }> {
  const folder = await mkdtempDisposable(path.join(tmpdir(), "skerry-"));
  const layout = layoutOf(folder.path);
  await mkdir(layout.configDir);
  await writeFile(layout.configFile, config);
  return { layout, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

const called = async (layout: Layout, words: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Call> =>
  withConfig(parseCall(cloud, words, env, never), await requireConfig(layout, undefined));

/** Takes what no option may be: how a file is read is one thing, what may stand in it another. */
const anyValue = (): void => {};

describe("parseConfig()", () => {
  const valuesOf = (text: string): Record<string, string> =>
    Object.fromEntries([...parseConfig(text, "f", anyValue).entries].map(([name, { value }]) => [name, value]));
  const inFile = (value: string): string => `---\n# first\nnode-name: ${value}\n\napi-port:   6443 \t\n`;
  // All words are words: what this makes numbers of, such as 010, is read as it stands.
  const asYaml = (text: string): unknown => parse(text, { schema: "failsafe" });

  it("reads as a YAML reader would, or refuses", () => {
    const words = [
      "n1",
      '"n 1"',
      "'it''s'",
      '"a\\"b"',
      "n1 # a comment",
      "n#1",
      "'n' # c",
      '"x" ',
      "a:b",
      "é",
      "n\u00a0",
    ];
    const numbers = ["1e3", "010", "0x10", "1_000", "true", "~", "1.10", '"7"'];
    for (const value of [...words, ...numbers]) {
      assert.deepEqual(valuesOf(inFile(value)), asYaml(inFile(value)), value);
    }
    assert.deepEqual(valuesOf("\uFEFFnode-name: n1\r\napi-port: 1\r\n"), { "node-name": "n1", "api-port": "1" });
    const odd = [
      ["[a]", "{a: b}", "&a b", "*a", "!t b", "|", ">", "- a", "a: b", "a:\tb", "a:", "@a", "`a`", '"a', "'a", '"a" b'],
      [
        "",
        "# only a comment",
        "~ x",
        "? a",
        ", a",
        '"\\x41"',
        '""',
        "a\tb",
        '"\\/"',
        "#x",
        "-1",
        "a # b: c",
        "a '",
        "%a",
      ],
      ["a\rb", "a\u0000", "'a'#b"],
    ].flat();
    for (const value of odd) {
      const text = inFile(value);
      const { mistake } = parseConfig(text, "f", anyValue);
      if (mistake !== undefined) assert.match(mistake, /^f:3: (node-name (takes|needs) |cannot read )/, value);
      else assert.deepEqual(valuesOf(text), asYaml(text), value);
    }
  });

  it("names file, line and what mends it, of the first mistake, and takes all the rest", () => {
    const cases: [string, RegExp][] = [
      ["log-level: debug\n\napi_port: 1\n", /^f:3: there is no "api_port"; the nearest is api-port, of /],
      ["loglevel: debug", /^f:1: .* the nearest is log-level, /],
      ["api-port: 1\napi-port: 2", /^f:2: api-port is set twice; leave one of the lines out$/],
      ["api-port:", /^f:1: api-port needs a value$/],
      ["api-port: [1]", /^f:1: api-port takes one value on its line, quoted or not$/],
      ["api-port:1", /^f:1: cannot read this line; write it like log-level: debug$/],
      ["log-level:\u00a0debug", /^f:1: cannot read /],
      ["  api-port: 1", /^f:1: cannot read/],
      ["- api-port", /^f:1: cannot read/],
      ["link-port: 1\n---\n", /^f:2: cannot read/],
      ["---\n---\n", /^f:2: cannot read/],
      ["api-port: many", /^f:1: api-port takes a port between 1 and 65535, not "many"$/],
      ["api-port: 0x10", /^f:1: api-port takes a port between 1 and 65535, not "0x10"$/],
      ["node-name: UPPER_Case!", /^f:1: node-name takes lower-case letters and digits, .* not "UPPER_Case!"$/],
      ["cluster-cidr: 10.9.1.0/16", /^f:1: cluster-cidr: "10\.9\.1\.0\/16" has address bits beyond its \/16; write /],
      ["log-level: loud", /^f:1: log-level takes debug, info, warn or error, not "loud"$/],
    ];
    for (const [text, message] of cases) {
      const { mistake, entries } = parseConfig(`${text}\n\nnode-name: n1\nnodename: n2`, "f");
      assert.match(mistake ?? "", message, text);
      assert.equal(entries.get("node-name")?.value, "n1", text);
    }
    assert.equal(parseConfig("api-port: many\napi-port: 2", "f").entries.get("api-port")?.value, "2");
  });
});

describe("readConfig()", () => {
  it("goes on without what contradicts the instance, and without a file that cannot be read", async () => {
    await using place = await temporary("cluster-cidr: 10.9.0.0/16\nnode-name: n1\n");
    const { layout } = place;
    const { entries, mistake } = await readConfig(layout, settings);
    assert.deepEqual([...entries.keys()], ["node-name"]);
    const start = `${layout.configFile}:1: cluster-cidr says 10.9.0.0/16, but the instance in ${layout.dataDir} was made with`;
    assert.equal(mistake?.replace(/ leave it out, or .*/, ""), `${start} 10.42.0.0/16;`);
    const edgeAlone: Settings = { ...settings, roles: ["edge"], clusterCidr: "" };
    assert.equal((await readConfig(layout, edgeAlone)).mistake, undefined, "it has no network of its own");

    await rm(layout.configFile);
    await mkdir(layout.configFile);
    const unreadable = await readConfig(layout, settings);
    assert.equal(unreadable.entries.size, 0);
    assert.match(unreadable.mistake ?? "", /^Cannot read .*config\.yaml: EISDIR.*; make it a file that root can read/);
  });

  it("goes on without ports that would be one, be the other in the file or kept", async () => {
    const read = async (config: string, kept?: Settings): Promise<[string[], string | undefined]> => {
      await using place = await temporary(config);
      const { entries, mistake } = await readConfig(place.layout, kept);
      return [[...entries.keys()], mistake?.replaceAll(`${place.layout.configFile}:`, "f:")];
    };
    const both = "api-port: 7000\nlink-port: 7000\nnode-name: n1\n";
    assert.deepEqual(await read(both), [["node-name"], "f:1: api-port and f:2: link-port must differ"]);
    assert.deepEqual(await read("link-port: 6443", settings), [
      [],
      "f:1: link-port and the API's port, 6443, must differ",
    ]);
    const edgeAlone: Settings = { ...settings, roles: ["edge"] };
    assert.equal((await read(both, edgeAlone))[1], undefined, "it has no port of its own");
  });
});

describe("requireConfig()", () => {
  it("refuses a file with a mistake, as misuse", async () => {
    await using place = await temporary("log-level: loud\n");
    await assert.rejects(requireConfig(place.layout, undefined), {
      name: "UsageError",
      exitCode: 2,
      message: `${place.layout.configFile}:1: log-level takes debug, info, warn or error, not "loud"`,
    });
  });
});

describe("withConfig()", () => {
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
});

describe("ensureSettings()", () => {
  it("makes folders above an instance's, and says where none can be made", async () => {
    await using place = await temporary("");
    const made = { roles: ["cloud" as const], sample: false, clusterCidr: "10.42.0.0/16" };
    const deep = layoutOf(path.join(place.layout.dataDir, "a/b"));
    await ensureSettings(deep, made);
    assert.deepEqual(await readdir(deep.dataDir), ["instance.json"]);
    await assert.rejects(ensureSettings(layoutOf("/proc/skerry"), made), {
      name: "UserError",
      message: /^Cannot make \/proc\/skerry: ENOENT.*; choose another place with --data-dir$/,
    });
  });

  it("says who asks for another value than the instance was made with", async () => {
    await using place = await temporary("");
    const { layout } = place;
    const made = { roles: ["cloud" as const], sample: false };
    await ensureSettings(layout, { ...made, clusterCidr: "10.42.0.0/16", nodeName: "n1" });
    const refusal = async (words: string[], env: NodeJS.ProcessEnv): Promise<string> => {
      const request = settingsRequest(await called(layout, words, env), made);
      const { message }: Error = await ensureSettings(layout, request).then(
        () => assert.fail("taken"),
        (error: Error) => error,
      );
      return message.replace(/;.*/, "");
    };
    const but = `but the instance in ${layout.dataDir} was made with`;
    assert.equal(
      await refusal(["--cluster-cidr", "10.9.0.0/16"], {}),
      `--cluster-cidr says 10.9.0.0/16, ${but} 10.42.0.0/16`,
    );
    assert.equal(await refusal([], { SKERRY_NODE_NAME: "n2" }), `SKERRY_NODE_NAME says n2, ${but} n1`);
    await writeFile(layout.configFile, "# mine\nnode-name: n3\n");
    assert.equal(await refusal([], {}), `${layout.configFile}:2: node-name says n3, ${but} n1`);
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

  it("quotes what would be read as something else", async () => {
    await using place = await temporary("");
    const names = ["n#1", "1e3", "a # b", 'it\'s "n"', "[n]", " n", "n ", "n: m", "a\nb", "- n"];
    for (const name of names) {
      const text = configText(await called(place.layout, [], { SKERRY_NODE_NAME: name }), undefined, ["node-name"]);
      const { entries, mistake } = parseConfig(text, "f", anyValue);
      assert.deepEqual([entries.get("node-name")?.value, mistake], [name, undefined], text);
      assert.deepEqual(parse(text, { schema: "failsafe" }), { "node-name": name });
    }
  });
});
