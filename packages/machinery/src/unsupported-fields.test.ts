import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod, PodSpec } from "./gen/types.ts";
import { unsupportedFields, unsupportedText } from "./unsupported-fields.ts";

const podOf = (spec: Partial<PodSpec>): Pod => ({
  metadata: { name: "p", namespace: "x" },
  spec: { containers: [{ name: "c", image: "busybox:1" }], ...spec },
});

describe("unsupportedFields()", () => {
  it("finds nothing in a pod that needs nothing special", () => {
    const pod = podOf({
      volumes: [{ name: "v", configMap: { name: "m" } }],
      hostNetwork: true,
      nodeSelector: { a: "b" },
    });
    assert.deepEqual(unsupportedFields(pod), []);
  });

  it("names each field that has no effect", () => {
    const pod = podOf({
      initContainers: [{ name: "i", image: "i" }],
      affinity: {},
      containers: [{ name: "c", image: "i", readinessProbe: {}, lifecycle: {} }],
      volumes: [
        { name: "p", persistentVolumeClaim: { claimName: "x" } },
        { name: "t", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } },
      ],
    });
    assert.deepEqual(
      unsupportedFields(pod).map(({ path }) => path),
      [
        "spec.initContainers",
        "spec.affinity",
        "spec.containers[c].readinessProbe",
        "spec.containers[c].lifecycle",
        "spec.volumes[p].persistentVolumeClaim",
        "spec.volumes[t].projected.serviceAccountToken",
      ],
    );
  });

  it("tells what the node lacks from what the control plane lacks, and what keeps the pod from running", () => {
    const fields = unsupportedFields(
      podOf({ affinity: {}, runtimeClassName: "wasm", imagePullSecrets: [{ name: "s" }] }),
    );
    assert.deepEqual(
      fields.map(({ path, side, isRefused }) => [path, side, isRefused]),
      [
        ["spec.affinity", "cloud", false],
        ["spec.runtimeClassName", "node", true],
        ["spec.imagePullSecrets", "node", false],
      ],
    );
    assert.deepEqual(fields.map(unsupportedText).slice(1), [
      "spec.runtimeClassName: runtime classes are not supported yet, and the node refuses the pod",
      "spec.imagePullSecrets: images are pulled without these credentials yet",
    ]);
  });
});
