import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempDisposable } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { checkToken, joinEdge, whyNotJoined } from "./joining.ts";
import { layoutOf } from "./layout.ts";
import type { Settings } from "./settings.ts";

const TOKEN = `skerry.abc.secret.${"a".repeat(43)}`;
const settings: Settings = {
  id: "0a1b2c3d",
  roles: ["edge"],
  apiPort: 6443,
  linkPort: 10_000,
  clusterCidr: "",
  nodeName: "n1",
  sample: false,
};

describe("joinEdge()", () => {
  it("says of a port where nothing listens what to look at", async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), "skerry-"));
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const instance = { layout: layoutOf(folder.path), settings };
    const address = { host: "127.0.0.1", port };
    await assert.rejects(joinEdge(instance, address, TOKEN, new AbortController().signal), {
      name: "UserError",
      message:
        `Cannot join 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}; is the cloud up, ` +
        `is ${port} its link port (10000 unless it was given another), and does 127.0.0.1 lead to it from here?`,
    });
  });
});

describe("whyNotJoined()", () => {
  const address = { host: "cloud.example", port: 10_000 };

  it("tells the first failure of a host with several addresses", () => {
    const all = Object.assign(new AggregateError([new Error("connect ECONNREFUSED ::1:10000"), new Error("other")]), {
      code: "ECONNREFUSED",
    });
    assert.match(whyNotJoined(all, address), /^connect ECONNREFUSED ::1:10000; is the cloud up, /);
  });

  it("leaves what a hub answers as it is", () => {
    assert.equal(whyNotJoined(new Error("The token has expired"), address), "The token has expired");
  });
});

describe("checkToken()", () => {
  it("refuses what is not all of a token, as misuse, and says where to make one", () => {
    for (const token of ["", "garbage", TOKEN.slice(0, -1), TOKEN.replace("skerry.", "")]) {
      assert.throws(
        () => checkToken(token),
        { exitCode: 2, message: /not complete: .* on the cloud's machine$/ },
        token,
      );
    }
    checkToken(TOKEN);
  });
});
