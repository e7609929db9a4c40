import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Container, Runtime, Sandbox } from "../runtime/runtime.ts";
import { RuntimeView } from "./runtime-view.ts";

/** A runtime with one pod of one container, whose state the test sets. */
function runtimeOf(machine: { state: string }): Runtime {
  const sandbox = { id: "s", podUid: "web", podNamespace: "default", podName: "web", attempt: 0, ready: true };
  const lists: Pick<Runtime, "listContainers" | "listSandboxes"> = {
    listContainers: async () => [{ id: "c", sandboxId: "s", attempt: 0, state: machine.state } as Container],
    listSandboxes: async () => [sandbox as Sandbox],
  };
  return lists as Runtime;
}

describe("RuntimeView.news()", () => {
  it("tells what changed since it was asked before, also when others looked in between", async () => {
    const machine = { state: "running" };
    const view = new RuntimeView(runtimeOf(machine), new AbortController().signal);
    assert.deepEqual([...(await view.news())], ["web"]);
    assert.deepEqual([...(await view.news())], []);
    machine.state = "exited";
    assert.equal((await view.take()).get("web")?.containers[0]?.state, "exited");
    assert.deepEqual([...(await view.news())], ["web"]);
    assert.deepEqual([...(await view.news())], []);
  });
});
