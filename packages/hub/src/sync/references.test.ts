import assert from "node:assert/strict";
import { it } from "node:test";
import type { Pod } from "@skerry/machinery/types";
import { referencesOf } from "./references.ts";

it("referencesOf() finds what pull secrets, environment and volumes name, once each", () => {
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "ns", name: "p" },
    spec: {
      imagePullSecrets: [{ name: "pull" }],
      initContainers: [
        { name: "i", envFrom: [{ configMapRef: { name: "from" } }, { secretRef: { name: "secret-from" } }] },
      ],
      containers: [
        {
          name: "c",
          env: [
            { name: "A", valueFrom: { configMapKeyRef: { name: "key", key: "a" } } },
            { name: "B", valueFrom: { secretKeyRef: { name: "secret-key", key: "b" } } },
            { name: "C", value: "plain" },
            { name: "D", valueFrom: { configMapKeyRef: { name: "from", key: "a" } } },
          ],
        },
      ],
      volumes: [
        { name: "1", configMap: { name: "volume" } },
        { name: "2", secret: { secretName: "secret-volume" } },
        {
          name: "3",
          projected: { sources: [{ configMap: { name: "projected" } }, { secret: { name: "secret-projected" } }] },
        },
        { name: "4", emptyDir: {} },
      ],
    },
  };
  assert.deepEqual(referencesOf(pod), {
    configMaps: ["ns/from", "ns/key", "ns/volume", "ns/projected"],
    secrets: ["ns/pull", "ns/secret-from", "ns/secret-key", "ns/secret-volume", "ns/secret-projected"],
  });
  assert.deepEqual(referencesOf({ metadata: { name: "x" } } as Pod), { configMaps: [], secrets: [] });
});
