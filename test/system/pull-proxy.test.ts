import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import path from "node:path";
import { describe, it } from "node:test";
import { keyToPem, toPem } from "@skerry/base";
import { eventually } from "@skerry/base/testing";
import { PrivateContainerd } from "../../packages/agent/src/containerd/private-containerd.ts";
import { MEDIA_TYPE } from "../../packages/agent/src/images/oci-image.ts";
import { ustar } from "../../packages/agent/src/images/ustar.ts";
import { EdgeSandbox } from "../../packages/agent/test/edge-sandbox.ts";
import { patience } from "../../packages/agent/test/test-pods.ts";
import { HttpProxy } from "../http-proxy.ts";
import { leaf, newAuthority } from "../link-world.ts";

/** The name of a registry that nothing but a proxy leads to. */
const HOST = "registry.example";

/** Debian's docker-registry on a free port of loopback, with a certificate for that name. */
class Registry implements AsyncDisposable {
  readonly port: number;
  readonly caFile: string;
  readonly #server: ChildProcess;
  readonly #ca: string;

  private constructor(port: number, caFile: string, ca: string, server: ChildProcess) {
    this.port = port;
    this.caFile = caFile;
    this.#ca = ca;
    this.#server = server;
  }

  static async start(dir: string): Promise<Registry> {
    await mkdir(dir);
    const file = async (name: string, text: string): Promise<string> => {
      await writeFile(path.join(dir, name), text);
      return path.join(dir, name);
    };
    const authority = newAuthority("registries");
    const { certificate, key } = leaf(authority, { usages: ["server"], dnsNames: [HOST] });
    const ca = toPem("CERTIFICATE", authority.certificate.raw);
    const port = await freePort();
    const config = {
      version: 0.1,
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: path.join(dir, "blobs") } },
      http: {
        addr: `127.0.0.1:${port}`,
        tls: {
          certificate: await file("tls.crt", toPem("CERTIFICATE", certificate.raw)),
          key: await file("tls.key", keyToPem(key)),
        },
      },
    };
    const server = spawn("docker-registry", ["serve", await file("config.json", JSON.stringify(config))], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const registry = new Registry(port, await file("ca.crt", ca), ca, server);
    await eventually(async () => (await registry.#ask("GET", "/v2/")).status === 200, { what: "the registry" });
    return registry;
  }

  /** An image of one small file. */
  async push(name: string, tag: string): Promise<void> {
    const content = Buffer.from(`${name} ${tag}`);
    const layer = Buffer.concat([...ustar([{ type: "file", path: "hello", mode: 0o644, content }])]);
    const config = Buffer.from(
      JSON.stringify({
        architecture: process.arch === "x64" ? "amd64" : process.arch,
        os: "linux",
        config: {},
        rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
      }),
    );
    const descriptor = (mediaType: string, blob: Buffer) => ({ mediaType, digest: digestOf(blob), size: blob.length });
    for (const blob of [layer, config]) {
      const { location } = await this.#ask("POST", `/v2/${name}/blobs/uploads/`);
      const { pathname, search } = new URL(location);
      await this.#ask("PUT", `${pathname}${search}&digest=${digestOf(blob)}`, blob);
    }
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.manifest,
      config: descriptor(MEDIA_TYPE.config, config),
      layers: [descriptor(MEDIA_TYPE.layer, layer)],
    };
    const body = Buffer.from(JSON.stringify(manifest));
    const { status } = await this.#ask("PUT", `/v2/${name}/manifests/${tag}`, body, MEDIA_TYPE.manifest);
    assert.equal(status, 201);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill();
    if (this.#server.exitCode === null && this.#server.signalCode === null) await once(this.#server, "exit");
  }

  async #ask(
    method: string,
    target: string,
    body?: Buffer,
    type = "application/octet-stream",
  ): Promise<{ status: number; location: string }> {
    const request = https.request({
      host: "127.0.0.1",
      port: this.port,
      servername: HOST,
      ca: this.#ca,
      method,
      path: target,
      agent: false,
      headers: { ...(body && { "content-type": type, "content-length": body.length }) },
    });
    request.end(body);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.resume();
    return { status: response.statusCode ?? 0, location: response.headers.location ?? "" };
  }
}

const digestOf = (blob: Buffer): string => `sha256:${createHash("sha256").update(blob).digest("hex")}`;

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe("containerd behind a proxy", () => {
  it("pulls through it, is started again when it is another one, and keeps its password to itself", async () => {
    await using place = await EdgeSandbox.create();
    await using registry = await Registry.start(path.join(place.dir, "registry"));
    await registry.push("hello", "1");
    await using proxy = await HttpProxy.start({
      leadsTo: (authority) => (authority === `${HOST}:443` ? registry.port : undefined),
      credentials: "me:secret",
    });
    const registriesDir = path.join(place.dir, "registries");
    await mkdir(path.join(registriesDir, HOST), { recursive: true });
    const hosts = `server = "https://${HOST}"\n[host."https://${HOST}"]\n  ca = "${registry.caFile}"\n`;
    await writeFile(path.join(registriesDir, HOST, "hosts.toml"), hosts);

    // In the network of the test, where proxy and registry are; it makes no pods there.
    const { networkNamespace: _, run: __, ...options } = place.options;
    const logFile = path.join(options.logDir, "containerd.log");
    const opened = async (env: Record<string, string>): Promise<PrivateContainerd> => {
      const containers = new PrivateContainerd({ ...options, registriesDir, env });
      containers.start();
      await containers.supervisor.whenServing(patience());
      return containers;
    };
    const env = { HTTPS_PROXY: proxy.url, NO_PROXY: "localhost" };
    let pid: number | undefined;
    {
      await using containers = await opened(env);
      await containers.runtime.pullImage(`${HOST}/hello:1`, patience());
      assert.ok(proxy.requests.length > 0);
      assert.deepEqual([...new Set(proxy.requests)], [`CONNECT ${HOST}:443`]);
      pid = containers.supervisor.process?.pid;
    }
    {
      await using containers = await opened(env);
      assert.equal(containers.supervisor.process?.pid, pid, "the same proxy: it is adopted");
    }
    const wrong = { ...env, HTTPS_PROXY: proxy.url.replace("secret", "wrong-secret") };
    await using containers = await opened(wrong);
    assert.notEqual(containers.supervisor.process?.pid, pid, "another proxy: it is started again");
    await assert.rejects(containers.runtime.pullImage(`${HOST}/hello:2`, patience()), ({ message }: Error) => {
      assert.match(message, /Proxy Authentication Required/);
      return !message.includes("secret");
    });
    assert.doesNotMatch(await readFile(logFile, "utf8"), /secret/);
  });
});
