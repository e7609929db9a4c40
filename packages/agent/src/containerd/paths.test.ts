import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { containerdPaths } from "./paths.ts";

describe("containerdPaths()", () => {
  it("keeps the socket with the instance's other run files", () => {
    const paths = containerdPaths({ instance: "a", dataDir: "/d", runDir: "/d/run", logDir: "/d/log" });
    assert.equal(paths.socket, "/d/run/containerd/containerd.sock");
  });

  it("finds a short place for a socket whose path would not fit, another for each run folder", () => {
    const deep = `/tmp/${"x".repeat(90)}`;
    const of = (runDir: string): string =>
      containerdPaths({ instance: "a", dataDir: deep, runDir, logDir: deep }).socket;
    assert.ok(Buffer.byteLength(`${of(deep)}.ttrpc`) <= 107);
    assert.notEqual(of(deep), of(`${deep}y`));
  });
});
