import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes, X509Certificate, createPrivateKey } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { createAuthority, createKey, issueCertificate, keyToPem, toPem, type Identity } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import type { Node, Pod } from "@skerry/machinery/types";
import { runningContainers } from "./containers.ts";
import { Machine } from "./machine.ts";
import { deployment, documents } from "./manifests.ts";
import { RebootableMachine } from "./rebootable-machine.ts";

const run = promisify(execFile);
const DAY_MS = 86_400_000;

/** Connects two machines by a cable of their own. */
async function cable(a: Machine, b: Machine): Promise<void> {
  await run("ip", ["link", "add", "eth0", "netns", a.netns, "type", "veth", "peer", "name", "eth0", "netns", b.netns]);
  for (const [machine, address] of [
    [a, "192.168.77.1/24"],
    [b, "192.168.77.2/24"],
  ] as const) {
    await run("ip", ["-n", machine.netns, "address", "add", address, "dev", "eth0"]);
    await run("ip", ["-n", machine.netns, "link", "set", "eth0", "up"]);
  }
}

const isReady = ({ status }: Node | Pod): boolean =>
  (status?.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True");

const nodesOf = async (machine: Machine): Promise<Node[]> => (await machine.get<{ items: Node[] }>("nodes")).items;
const podsOf = async (machine: Machine): Promise<Pod[]> => (await machine.get<{ items: Pod[] }>("pods")).items;

describe("A second machine", () => {
  it("is refused with the reason while its token or name is wrong, then joins, and runs pods", async () => {
    await using cloud = await Machine.create();
    await using edge = await RebootableMachine.create("edge-two");
    await cable(cloud, edge);
    await cloud.skerry("up", "--no-sample");
    const [first] = await nodesOf(cloud);
    const token = (await cloud.skerry("token", "create")).trim();
    const [prefix, id, secret = "", pin] = token.split(".");
    const join = async (address: string, shown: string, ...more: string[]): Promise<string> => {
      const { code, stderr } = await edge.exec("./skerry", ["join", address, shown, ...more]);
      assert.notEqual(code, 0);
      assert.doesNotMatch(stderr, /fault of Skerry/);
      assert.ok(!existsSync(edge.dataDir), "nothing half-done stays");
      assert.deepEqual(await edge.leftovers(), { mounts: [], processes: [], links: ["eth0"], rules: [] });
      return stderr;
    };
    const hub = "192.168.77.1:10000";

    assert.match(
      await join(hub, [prefix, id, secret.toUpperCase(), pin].join(".")),
      /token is not known to this cloud/,
    );
    assert.match(await join(hub, "garbage"), /token is not complete/);
    const otherCloud = randomBytes(32).toString("base64url");
    assert.match(await join(hub, [prefix, id, secret, otherCloud].join(".")), /of another cloud than the token/);
    const brief = (await cloud.skerry("token", "create", "--ttl", "1s")).trim();
    // The one wait that is the subject: a second, and no more, is what the token lasts.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    assert.match(await join(hub, brief), /token has expired.*skerry token create/);
    assert.match(await join("192.168.77.1:6443", token), /is no hub/);
    assert.match(await join("192.168.77.1:9", token), /ECONNREFUSED.*; is the cloud up, is 9 its link port/);
    const taken = first?.metadata.name ?? "";
    assert.match(await join(hub, token, "--node-name", taken), new RegExp(`node named "${taken}" exists already`));
    assert.deepEqual(
      (await nodesOf(cloud)).map(({ metadata }) => metadata.uid),
      [first?.metadata.uid],
    );

    await edge.skerry("join", hub, token);
    const nodes = await eventually(
      async () => {
        const found = await nodesOf(cloud);
        return found.length === 2 && found.every(isReady) && found;
      },
      { what: "two nodes", timeoutMs: 30_000, everyMs: 300 },
    );
    assert.equal(new Set(nodes.map(({ spec }) => spec?.podCIDR)).size, 2, "each has addresses of its own");

    const input = documents(deployment("web", 1));
    assert.equal((await cloud.kubectlOutcome(["apply", "-f", "-"], { input })).code, 0);
    await cloud.kubectl("scale", "deployment", "web", "--replicas=4");
    const pods = await eventually(
      async () => {
        const found = await podsOf(cloud);
        return found.length === 4 && found.every(isReady) && found;
      },
      { what: "four pods", timeoutMs: 60_000, everyMs: 300 },
    );
    const there = pods.filter(({ spec }) => spec?.nodeName === "edge-two");
    assert.ok(there.length > 0 && there.length < 4, `${there.length} of 4 pods are on the second machine`);
    assert.deepEqual(
      (await runningContainers(edge)).map(({ podUid }) => podUid).toSorted((a, b) => a.localeCompare(b)),
      there.map(({ metadata }) => metadata.uid ?? "").toSorted((a, b) => a.localeCompare(b)),
    );
    const [pod] = there;
    assert.match(await cloud.kubectl("logs", pod?.metadata.name ?? ""), /hello from/);
    const page = await edge.exec("curl", ["-s", "--max-time", "5", `http://${pod?.status?.podIP}:8080/`]);
    assert.match(page.stdout, /<title>hello/);

    await cloud.kubectl("delete", "node", "edge-two");
    await eventually(
      async () => {
        const { stdout } = await edge.exec("./skerry", ["status"]);
        return /edge-two.*deleted.*join again/.test(stdout);
      },
      { what: "the deleted node to be told", timeoutMs: 60_000, everyMs: 500 },
    );
    assert.equal((await runningContainers(edge)).length, there.length, "its pods go on until somebody decides");
    await edge.skerry("down", "-v");
    assert.deepEqual(await edge.leftovers(), { mounts: [], processes: [], links: ["eth0"], rules: [] });
    await edge.skerry("join", hub, token);
    await eventually(async () => (await nodesOf(cloud)).filter(isReady).length === 2, {
      what: "the machine to be a node again",
      timeoutMs: 30_000,
      everyMs: 300,
    });
  });
});

describe("A stranger in a node's name", () => {
  it("is told what is wrong with its certificate, and gets nothing", async () => {
    await using machine = await Machine.create();
    await machine.skerry("up", "--no-sample");
    const [node] = await nodesOf(machine);
    const { name = "", uid = "" } = node?.metadata ?? {};
    const now = Date.now();
    const pki = path.join(machine.dataDir, "cloud/pki");
    const ca: Identity = {
      certificate: new X509Certificate(await readFile(path.join(pki, "link-ca.crt"))),
      key: createPrivateKey(await readFile(path.join(pki, "link-ca.key"))),
    };
    const stranger = createAuthority({
      commonName: "skerry link",
      notBefore: now - 400 * DAY_MS,
      notAfter: now + 400 * DAY_MS,
    });
    const issue = (issuer: Identity, uri: string, endsMs: number): string => {
      const key = createKey();
      const bytes = issueCertificate({
        issuer,
        publicKey: key,
        subject: { commonName: name },
        usages: ["client"],
        dnsNames: [],
        uris: [uri],
        notBefore: now - 390 * DAY_MS,
        notAfter: now + endsMs,
      });
      return keyToPem(key) + toPem("CERTIFICATE", bytes);
    };
    const own = `skerry:node:${name}:${uid}`;
    const expired = -60 * DAY_MS;
    const certificates: [pem: string, answer: RegExp][] = [
      [keyToPem(stranger.key) + toPem("CERTIFICATE", stranger.certificate.raw), /^401 .*\(foreign\)/],
      [issue(stranger, own, DAY_MS), /^401 .*\(foreign\)/],
      [issue(stranger, own, expired), /^401 .*\(foreign\)/],
      [issue(ca, own, expired), /^401 .*\(expired\)/],
      [issue(ca, `skerry:node:${name}:00000000-0000-0000-0000-000000000000`, DAY_MS), /^403 .*join again/],
      [issue(ca, "skerry:node:nobody:00000000-0000-0000-0000-000000000000", expired), /^403 .*join again/],
    ];
    const files = await Promise.all(
      certificates.map(async ([pem], n) => {
        const file = path.join(machine.dataDir, `stranger-${n}.pem`);
        await writeFile(file, pem);
        return file;
      }),
    );
    const child = path.join(import.meta.dirname, "knock.child.ts");
    const { stdout, stderr } = await machine.exec(process.execPath, [child, "10000"], {
      input: `${files.join("\n")}\n`,
    });
    const answers = stdout.trim().split("\n");
    assert.equal(answers.length, certificates.length, stderr);
    for (const [n, [, expected]] of certificates.entries()) assert.match(answers[n] ?? "", expected);
    assert.match(await readFile(path.join(machine.dataDir, "log/cloud.log"), "utf8"), /certificate refused/);

    // The link's CA is nobody to the API.
    const pem = path.join(machine.dataDir, "genuine.pem");
    await writeFile(pem, issue(ca, own, DAY_MS));
    const url = "https://127.0.0.1:6443/api/v1/nodes";
    const { stdout: code } = await machine.exec("curl", [
      "-sk",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "--cert",
      pem,
      url,
    ]);
    assert.match(code, /^40[13]$/);

    const [after] = await nodesOf(machine);
    assert.ok(after && isReady(after), "the node itself noticed nothing");
    const status = JSON.parse((await machine.exec("./skerry", ["status", "-o", "json"])).stdout) as {
      edge: { link: string };
    };
    assert.equal(status.edge.link, "up");
  });
});
