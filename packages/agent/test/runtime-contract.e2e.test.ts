import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe } from "node:test";
import { HELLO_IMAGE } from "../src/index.ts";
import { runtimeContract, type RuntimeUnderTest } from "../src/testing.ts";
import { EdgeSandbox } from "./edge-sandbox.ts";

describe("CriRuntime over a private containerd is a runtime that", { concurrency: false }, () => {
  let place: EdgeSandbox | undefined;
  let under: RuntimeUnderTest | undefined;

  before(async () => {
    place = await EdgeSandbox.create();
    const containerd = place.open();
    containerd.start();
    await containerd.supervisor.whenServing(AbortSignal.timeout(30_000));
    await containerd.setUpNetwork("10.96.3.0/24", AbortSignal.timeout(30_000));
    await containerd.ensureBuiltinImages(AbortSignal.timeout(60_000));
    under = {
      runtime: containerd.runtime,
      image: HELLO_IMAGE,
      runForever: ["/bin/sh", "-c", "while true; do sleep 1; done"],
      endWith: (exitCode) => ["/bin/sh", "-c", `exit ${exitCode}`],
      logDirectory: path.join(place.dir, "logs"),
      cgroupParent: `/skerry-${place.instance}/contract`,
    };
  });

  after(async () => {
    await place?.[Symbol.asyncDispose]();
  });

  runtimeContract(() => under ?? assert.fail("containerd is not up"));
});
