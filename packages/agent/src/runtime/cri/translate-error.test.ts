import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RuntimeError, type RuntimeErrorCode } from "../runtime.ts";
import { GrpcError, type GrpcCode } from "./grpc-error.ts";
import { runtimeError, type Subject } from "./translate-error.ts";

describe("runtimeError()", () => {
  for (const [subject, code, message, expected] of [
    ["pod", "NotFound", "an error occurred when try to find sandbox: not found", "NotFound"],
    ["pod", "NotFound", 'failed to resolve image "sha256:0": not found', "ImageNotFound"],
    ["pod", "Unknown", 'failed to reserve sandbox name "a": name "a" is reserved for "1"', "AlreadyExists"],
    ["pod", "Unknown", "failed to create containerd task: write /x: no space left on device", "DiskFull"],
    ["pod", "Unavailable", "connect ENOENT", "Unavailable"],
    ["pod", "DeadlineExceeded", "took longer than 1 ms", "TimedOut"],
    ["pod", "FailedPrecondition", "cannot delete running task 0: failed precondition", "StillRunning"],
    ["memory", "DeadlineExceeded", "took longer than 1 ms", "Unavailable"],
    ["memory", "NotFound", "an error occurred when try to find container: not found", "NotFound"],
    ["pod", "Unknown", "server is not initialized yet", "Unavailable"],
    ["pod", "InvalidArgument", "bad", "Invalid"],
    ["pod", "Unknown", "oops", "Unknown"],
    ["image", "NotFound", 'failed to pull and unpack image "a": not found', "ImageNotFound"],
    ["image", "Unknown", 'failed to resolve reference "a": unexpected status: 401 Unauthorized', "ImageUnauthorized"],
    [
      "image",
      "Unknown",
      "pull access denied, repository does not exist or may require authorization",
      "ImageUnauthorized",
    ],
    ["image", "Unknown", "failed to do request: dial tcp: lookup registry.invalid: no such host", "ImagePullFailed"],
    ["image", "Unavailable", "failed to pull and unpack image: 503 Service Unavailable", "ImagePullFailed"],
    ["image", "Unavailable", "connect ECONNREFUSED", "Unavailable"],
    ["image", "Unknown", "failed to extract layer: no space left on device", "DiskFull"],
  ] as const satisfies readonly (readonly [Subject, GrpcCode, string, RuntimeErrorCode])[]) {
    it(`makes ${expected} of ${code} about a ${subject}: ${message}`, () => {
      const error = runtimeError(new GrpcError(code, message), subject);
      assert.ok(error instanceof RuntimeError);
      assert.equal(error.code, expected);
      assert.equal(error.message, message);
    });
  }

  it("lets an abort pass through", () => {
    const reason = new Error("stopping");
    assert.equal(runtimeError(reason, "pod"), reason);
  });
});
