import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { canonicalImageName } from "./image-name.ts";

const DIGEST = `sha256:${"0".repeat(64)}`;

describe("canonicalImageName()", () => {
  for (const [short, full] of [
    ["nginx", "docker.io/library/nginx:latest"],
    ["nginx:1.25", "docker.io/library/nginx:1.25"],
    ["user/app", "docker.io/user/app:latest"],
    ["skerry.local/hello:1", "skerry.local/hello:1"],
    ["localhost/app", "localhost/app:latest"],
    ["registry:5000/app", "registry:5000/app:latest"],
    [`app@${DIGEST}`, `docker.io/library/app@${DIGEST}`],
  ] as const) {
    it(`makes ${full} of ${short}`, () => assert.equal(canonicalImageName(short), full));
  }
});
