import assert from "node:assert/strict";
import { mkdir, mkdtempDisposable, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { it } from "node:test";
import { eventually } from "@skerry/base/testing";
import { Machine, type Outcome } from "./machine.ts";

it("an edge of a cloud elsewhere: a join that fails leaves its proxies alone, down and up bring it back, nothing makes a cloud of it", async () => {
  await using machine = await Machine.create();
  await machine.skerry("up", "--no-sample");
  const token = (await machine.skerry("token", "create")).trim();
  await using other = await mkdtempDisposable(`${machine.dataDir}-`);
  const there = (words: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> =>
    machine.exec("./skerry", [...words, "--data-dir", other.path], { env });
  const done = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await there(words);
    assert.equal(code, 0, stdout + stderr);
    return stdout;
  };

  const proxies = path.join(other.path, "etc/proxy.env");
  const mine = "# mine\nHTTP_PROXY=http://127.0.0.1:3\n";
  await mkdir(path.dirname(proxies));
  await writeFile(proxies, mine);
  const env = { HTTP_PROXY: "http://127.0.0.1:4" };
  const failed = await there(["join", "127.0.0.1:9", token, "--node-name", "far"], env);
  assert.equal(failed.code, 1);
  assert.match(
    failed.stderr,
    /^skerry: Cannot join 127\.0\.0\.1:9: .*ECONNREFUSED.*; is the cloud up, is 9 its link port /m,
  );
  assert.equal(await readFile(proxies, "utf8"), mine);
  assert.deepEqual(await readdir(other.path), ["etc"]);

  try {
    await done("join", "127.0.0.1:10000", token, "--node-name", "far");
    const pid = async (): Promise<number> => JSON.parse((await there(["status", "-o", "json"])).stdout).edge.pid;
    const first = await pid();
    const again = await there(["edge", "start"], env);
    assert.match(again.stdout, /^The proxies are others than before, so the edge is started again with them/);
    assert.match(await readFile(proxies, "utf8"), /^HTTP_PROXY=http:\/\/127\.0\.0\.1:4$/m);
    const second = await pid();
    assert.notEqual(second, first);
    assert.equal((await there(["edge", "start"], env)).stdout, `edge runs as process ${second}\n`);

    const screen = await eventually(async () => {
      const { code, stdout } = await there(["status"]);
      return code === 0 ? stdout : undefined;
    });
    assert.match(screen, /^cloud +is elsewhere, at 127\.0\.0\.1:10000$/m);
    assert.doesNotMatch(screen, /^NODE/m);
    for (const words of [
      ["cloud", "--print-config"],
      ["cloud", "start"],
      ["cloud", "stop"],
      ["cloud"],
      ["token", "create"],
    ]) {
      const { code, stderr } = await there(words);
      assert.equal(code, 1, words.join(" "));
      assert.match(
        stderr,
        /^skerry: The instance in .* is an edge of the cloud at 127\.0\.0\.1:10000 and runs no cloud; do this on/,
      );
    }
    for (const words of [
      ["--api-port", "7443"],
      ["--link-port", "7000"],
      ["--cluster-cidr", "10.9.0.0/16"],
    ]) {
      const { code, stderr } = await there(["up", ...words]);
      assert.equal(code, 1);
      assert.match(
        stderr,
        new RegExp(`^skerry: ${words[0]} concerns a cloud, but the instance in .* is an edge of the one at `),
      );
    }

    assert.match(await done("down"), /up --data-dir .* brings everything back/);
    const linked = /Everything runs after .*; node far is linked to the cloud at 127\.0\.0\.1:10000/;
    assert.match(await done("up"), linked);
    assert.match(await done("up"), new RegExp(`This instance runs already[^]*✓ edge runs[^]*${linked.source}`));
    assert.ok(!(await readdir(other.path)).includes("cloud"));

    await done("down");
    await machine.skerry("cloud", "stop");
    assert.match(
      await done("up"),
      /The edge runs, but is not linked to the cloud at 127\.0\.0\.1:10000: .*ECONNREFUSED/,
    );
    assert.equal((await there(["status"])).code, 1);
  } finally {
    await there(["down", "-v"]);
  }
});
