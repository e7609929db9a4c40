import assert from "node:assert/strict";
import { mkdir, mkdtempDisposable, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { layoutOf } from "./layout.ts";
import {
  containerdProxies,
  keepProxies,
  problemsOfProxies,
  proxiesFile,
  readProxies,
  restoreProxies,
} from "./proxies.ts";

const temporary = () => mkdtempDisposable(path.join(tmpdir(), "skerry-"));
const settingsOf = (clusterCidr: string) => ({
  settings: {
    id: "0a1b2c3d",
    roles: ["edge" as const],
    apiPort: 6443,
    linkPort: 10_000,
    clusterCidr,
    nodeName: "n1",
    sample: false,
  },
});

describe("keepProxies()", () => {
  it("keeps what the environment says until it says something else, in a file of root's own", async () => {
    await using folder = await temporary();
    const layout = layoutOf(folder.path);
    const kept = { http: "http://me:secret@p:1", https: "http://q:2", no: "a.example,10.0.0.0/8" };
    const said = { http_proxy: kept.http, HTTPS_PROXY: kept.https, no_proxy: kept.no };
    assert.equal(await keepProxies(layout, said), true);
    assert.deepEqual(await readProxies(layout), kept);
    assert.equal((await stat(layout.proxies)).mode & 0o777, 0o600);
    for (const same of [said, {}, { NO_PROXY: "b.example" }]) {
      assert.equal(await keepProxies(layout, same), false);
      assert.deepEqual(await readProxies(layout), kept);
    }
    assert.equal(await keepProxies(layout, { HTTPS_PROXY: "" }), true);
    assert.deepEqual(await readdir(layout.configDir), []);
  });

  it("refuses what is no proxy, without showing it, and keeps what was there", async () => {
    await using folder = await temporary();
    const layout = layoutOf(folder.path);
    await keepProxies(layout, { https_proxy: "http://q:2" });
    for (const wrong of ["http://me:50%secret@p:1", "socks5://me:secret@p:1", "http://me:secret@"]) {
      await assert.rejects(keepProxies(layout, { https_proxy: wrong }), ({ name, message }: Error) => {
        assert.equal(name, "UserError");
        assert.match(message, /^HTTPS_PROXY is no address of an HTTP proxy; write it like /);
        return !message.includes("secret");
      });
    }
    await assert.rejects(keepProxies(layout, { https_proxy: "http://q:2", no_proxy: "a\nHTTP_PROXY=http://x" }));
    assert.equal((await readProxies(layout)).https, "http://q:2");
  });
});

describe("containerdProxies()", () => {
  it("leaves out this machine and the cluster, and says nothing where there is no proxy", () => {
    const { HTTPS_PROXY, NO_PROXY = "" } = containerdProxies(
      { http: "", https: "http://q:2", no: "a.example, 10.43.0.0/16" },
      settingsOf("10.44.0.0/16"),
    );
    assert.equal(HTTPS_PROXY, "http://q:2");
    assert.equal(NO_PROXY, "a.example,10.43.0.0/16,localhost,127.0.0.0/8,::1,10.44.0.0/16,.svc,.cluster.local");
    assert.match(
      containerdProxies({ http: "", https: "q:2", no: "" }, settingsOf(""))["NO_PROXY"] ?? "",
      /,10\.42\.0\.0\/16,/,
    );
    assert.deepEqual(containerdProxies({ http: "", https: "", no: "a.example" }, settingsOf("10.44.0.0/16")), {});
  });

  it("does without what a person wrote wrongly into the file, which is said", async () => {
    await using folder = await temporary();
    const layout = layoutOf(folder.path);
    await mkdir(layout.configDir);
    await writeFile(layout.proxies, "# mine\nHTTP_PROXY=socks5://me:secret@p\nHTTPS_PROXY=http://q:2\n");
    const proxies = await readProxies(layout);
    assert.deepEqual(Object.keys(containerdProxies(proxies, settingsOf(""))), ["HTTPS_PROXY", "NO_PROXY"]);
    const [problem = "", ...others] = problemsOfProxies(proxies);
    assert.match(problem, /^HTTP_PROXY is no address of an HTTP proxy/);
    assert.doesNotMatch(problem, /secret/);
    assert.deepEqual(others, []);
  });
});

describe("restoreProxies()", () => {
  it("puts back, to the letter, what a person wrote, and nothing where nothing was", async () => {
    await using folder = await temporary();
    const layout = layoutOf(folder.path);
    const nothing = await proxiesFile(layout);
    await keepProxies(layout, { HTTPS_PROXY: "http://q:2" });
    await restoreProxies(layout, nothing);
    assert.deepEqual(await readdir(layout.configDir), []);

    const text = "# mine\nHTTP_PROXY=http://me:secret@p:1\n";
    await writeFile(layout.proxies, text);
    const mine = await proxiesFile(layout);
    for (const env of [{ HTTPS_PROXY: "http://q:2" }, { HTTP_PROXY: "" }]) {
      assert.equal(await keepProxies(layout, env), true);
      await restoreProxies(layout, mine);
      assert.equal(await readFile(layout.proxies, "utf8"), text);
      assert.equal((await stat(layout.proxies)).mode & 0o777, 0o600);
    }
  });
});
