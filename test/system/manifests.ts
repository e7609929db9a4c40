import type { Deployment, Pod } from "@skerry/machinery/types";

/** The image that every edge builds for itself; a web server on 8080 unless a command is given. */
export const IMAGE = "skerry.local/hello:1";

/** Ends at once when asked to, so that tests need not wait for a grace period. */
export const SLEEP = "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done";

export interface PodShape {
  namespace?: string;
  /** A shell script; the web server when there is none. */
  script?: string;
  restartPolicy?: "Always" | "OnFailure" | "Never";
  hostPort?: number;
  image?: string;
  /** Keys of a ConfigMap as environment. */
  envFrom?: string;
  /** A ConfigMap as files in /config. */
  files?: string;
}

/** A pod with the container `main`, as manifest. */
export function pod(name: string, shape: PodShape = {}): Pod {
  const { namespace = "default", restartPolicy = "Always" } = shape;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app: name } },
    spec: { restartPolicy, ...bodyOf(shape) },
  };
}

/** A Deployment of such pods. */
export function deployment(name: string, replicas: number, shape: PodShape = {}): Deployment {
  const { namespace = "default" } = shape;
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: bodyOf(shape) },
    },
  };
}

export const configMap = (name: string, data: Record<string, string>): object => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default" },
  data,
});

/** What `kubectl apply -f -` reads. */
export const documents = (...items: object[]): string => items.map((item) => JSON.stringify(item)).join("\n---\n");

function bodyOf({ script, hostPort, image = IMAGE, envFrom, files }: PodShape): NonNullable<Pod["spec"]> {
  return {
    terminationGracePeriodSeconds: 2,
    containers: [
      {
        name: "main",
        image,
        imagePullPolicy: "IfNotPresent",
        ...(script !== undefined && { command: ["sh", "-c", script] }),
        ...(hostPort !== undefined && { ports: [{ containerPort: 8080, hostPort }] }),
        ...(envFrom !== undefined && { envFrom: [{ configMapRef: { name: envFrom } }] }),
        ...(files !== undefined && { volumeMounts: [{ name: "files", mountPath: "/config" }] }),
      },
    ],
    ...(files !== undefined && { volumes: [{ name: "files", configMap: { name: files } }] }),
  };
}
