import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommandError, inNetworkNamespace, runCommand } from "./process.ts";

describe("runCommand()", () => {
  it("gives what was printed, and passes arguments and input as they are", async () => {
    assert.equal(await runCommand("printf", ["%s|%s", "a b", "$HOME;"]), "a b|$HOME;");
    assert.equal(await runCommand("cat", [], { input: "in" }), "in");
  });

  it("tells a failure with its code and what it said", async () => {
    await assert.rejects(runCommand("sh", ["-c", "echo no >&2; exit 3"]), (error) => {
      assert.ok(error instanceof CommandError);
      assert.equal(error.exitCode, 3);
      assert.equal(error.isMissing, false);
      assert.match(error.message, /^Cannot run "sh -c .*": no$/);
      return true;
    });
  });

  it("tells a command that is not there", async () => {
    await assert.rejects(runCommand("skerry-no-such-command", []), { isMissing: true, exitCode: undefined });
  });

  it("ends with the signal's reason", async () => {
    const abort = new AbortController();
    const run = runCommand("sleep", ["60"], { signal: abort.signal });
    const reason = new Error("enough");
    abort.abort(reason);
    await assert.rejects(run, reason);
  });
});

describe("inNetworkNamespace()", () => {
  it("puts the command behind nsenter", async () => {
    const calls: string[][] = [];
    const run = inNetworkNamespace("/run/netns/x", async (...call) => {
      calls.push([call[0], ...call[1]]);
      return "";
    });
    await run("ip", ["link"]);
    assert.deepEqual(calls, [["nsenter", "--net=/run/netns/x", "--", "ip", "link"]]);
  });
});
