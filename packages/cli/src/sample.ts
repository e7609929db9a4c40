import { isAlreadyExists, isNotFound, kinds } from "@skerry/machinery";
import type { Deployment } from "@skerry/machinery/types";
import type { Client } from "@skerry/client";

export const SAMPLE_NAME = "hello";

/** A small web server, twice, from the image that every edge builds for itself. */
export const SAMPLE = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: SAMPLE_NAME, namespace: "default", labels: { app: SAMPLE_NAME } },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: SAMPLE_NAME } },
    template: {
      metadata: { labels: { app: SAMPLE_NAME } },
      spec: {
        terminationGracePeriodSeconds: 2,
        containers: [
          {
            name: "web",
            image: "skerry.local/hello:1",
            imagePullPolicy: "IfNotPresent",
            ports: [{ name: "http", containerPort: 8080 }],
            env: [
              { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
              { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
            ],
            resources: { requests: { cpu: "10m", memory: "8Mi" }, limits: { memory: "32Mi" } },
          },
        ],
      },
    },
  },
} as unknown as Deployment;

const KEY = { namespace: "default", name: SAMPLE_NAME };

/** Makes the sample when it is not there; whoever changed or deleted it knows why, so it is made once only. */
export async function createSample(client: Client, signal: AbortSignal): Promise<void> {
  try {
    await client.create(kinds.Deployment, SAMPLE, { fieldManager: "skerry", signal });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** How many of the sample's pods are available, of how many; undefined when there is no sample. */
export async function sampleProgress(
  client: Client,
  signal: AbortSignal,
): Promise<{ available: number; wanted: number } | undefined> {
  try {
    const { spec, status } = (await client.get(kinds.Deployment, KEY, { signal })).decode();
    return { available: status?.availableReplicas ?? 0, wanted: spec?.replicas ?? 1 };
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
