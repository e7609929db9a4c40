import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { childPath, fieldError, itemPath } from "./field-error.ts";
import {
  alreadyExists,
  conflict,
  expired,
  forbidden,
  invalid,
  isAlreadyExists,
  isConflict,
  isExpired,
  isNotFound,
  notFound,
  StatusError,
  statusOf,
} from "./status.ts";

const pods = { group: "", resource: "pods", kind: "Pod" };
const deployments = { group: "apps", resource: "deployments", kind: "Deployment" };

describe("StatusError", () => {
  it("says what upstream says when something is missing", () => {
    assert.deepEqual(notFound(pods, "web").toStatus(), {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: 'pods "web" not found',
      reason: "NotFound",
      details: { name: "web", kind: "pods" },
      code: 404,
    });
    assert.equal(notFound(deployments, "web").message, 'deployments.apps "web" not found');
    assert.deepEqual(notFound(deployments, "web").details, { name: "web", group: "apps", kind: "deployments" });
  });

  it("says what upstream says about conflicts, existence and permission", () => {
    assert.equal(
      conflict(deployments, "web").message,
      'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; ' +
        "please apply your changes to the latest version and try again",
    );
    assert.equal(alreadyExists(pods, "web").message, 'pods "web" already exists');
    assert.equal(forbidden(pods, "", 'User "u" cannot list').message, 'pods is forbidden: User "u" cannot list');
    assert.equal(forbidden(pods, "web", "no").message, 'pods "web" is forbidden: no');
    assert.equal(forbidden(undefined, "", "no").message, "forbidden: no");
  });

  it("lists what is invalid, each once, as text and as causes", () => {
    const one = fieldError.invalid("spec.y", "a\nb", "must be short");
    assert.equal(
      invalid(pods, "x", [one]).message,
      'Pod "x" is invalid: spec.y: Invalid value: "a\\nb": must be short',
    );
    const two = invalid(deployments, "x", [one, fieldError.required("spec.z"), one]);
    assert.equal(
      two.message,
      'Deployment.apps "x" is invalid: [spec.y: Invalid value: "a\\nb": must be short, spec.z: Required value]',
    );
    assert.equal(two.code, 422);
    assert.deepEqual(two.details?.causes?.[1], {
      reason: "FieldValueRequired",
      message: "Required value",
      field: "spec.z",
    });
  });

  it("survives the wire", () => {
    const error = expired("too old", "token");
    const read = StatusError.fromStatus(JSON.parse(JSON.stringify(error.toStatus())));
    assert.deepEqual(read.toStatus(), error.toStatus());
  });

  it("fromStatus() makes sense of answers that are no Status", () => {
    assert.equal(StatusError.fromStatus("<html>", 503).reason, "ServiceUnavailable");
    assert.equal(StatusError.fromStatus(undefined, 418).reason, "BadRequest");
    assert.equal(StatusError.fromStatus(undefined, 502).reason, "InternalError");
    assert.equal(StatusError.fromStatus({ kind: "Status", reason: "Odd", code: 409 }).reason, "Conflict");
  });

  it("is found through what it caused", () => {
    const wrapped = new Error("cannot sync", { cause: notFound(pods, "web") });
    assert.ok(isNotFound(wrapped));
    assert.ok(!isConflict(wrapped) && !isAlreadyExists(wrapped) && !isExpired(wrapped));
    assert.ok(isExpired(StatusError.fromStatus({ kind: "Status", reason: "Gone", code: 410 })));
    assert.equal(statusOf(new Error("other")), undefined);
    assert.equal(statusOf("not an error"), undefined);
  });
});

describe("fieldError", () => {
  it("has upstream's words", () => {
    const text = ({ message }: { message: string }): string => message;
    assert.equal(text(fieldError.required("a", "must be named")), "Required value: must be named");
    assert.equal(text(fieldError.invalid("a", 70000, "too big")), "Invalid value: 70000: too big");
    assert.equal(text(fieldError.invalid("a", { b: "<" })), 'Invalid value: {"b":"\\u003c"}');
    assert.equal(
      text(fieldError.notSupported("a", "x", ["A", "B"])),
      'Unsupported value: "x": supported values: "A", "B"',
    );
    assert.equal(text(fieldError.duplicate("a", "x")), 'Duplicate value: "x"');
    assert.equal(text(fieldError.forbidden("a", "field is immutable")), "Forbidden: field is immutable");
    assert.equal(text(fieldError.notFound("a", "x")), 'Not found: "x"');
    assert.equal(text(fieldError.tooLong("a", 1)), "Too long: may not be more than 1 byte");
    assert.equal(text(fieldError.tooMany("a", 3, 2)), "Too many: 3: must have at most 2 items");
    assert.equal(text(fieldError.typeInvalid("a", true)), "Invalid value: true");
  });

  it("paths are built from names, indexes and keys", () => {
    const container = itemPath(childPath(childPath("", "spec"), "containers"), 0);
    assert.equal(childPath(container, "name"), "spec.containers[0].name");
    assert.equal(itemPath("metadata.labels", "app"), "metadata.labels[app]");
  });
});
