import { describe } from "node:test";
import { runtimeContract, type RuntimeUnderTest } from "../runtime-contract.ts";
import { FakeRuntime } from "./fake-runtime.ts";

describe("FakeRuntime is a runtime that", () => {
  let under: RuntimeUnderTest | undefined;
  runtimeContract(() => {
    if (under) return under;
    const runtime = new FakeRuntime();
    runtime.addImage("app:1");
    under = {
      runtime,
      image: "app:1",
      runForever: [],
      endWith: (exitCode) => [`exit:${exitCode}`],
      logDirectory: "/nowhere",
      cgroupParent: "/fake",
    };
    return under;
  });
});
