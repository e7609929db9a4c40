import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { decodeKubernetesProtobuf, type DecodedKubernetesObject } from "@skerry/machinery";
import { installKubectl } from "../../../tools/kubectl/kubectl.ts";

/** Takes what kubectl posts as protobuf and answers it as JSON; knows nothing else. */
class CaptureServer {
  readonly bodies: DecodedKubernetesObject[] = [];
  readonly errors: unknown[] = [];
  readonly #server: Server = createServer((request, response) => {
    void buffer(request).then((body) => {
      if (request.method !== "POST" || request.headers["content-type"] !== "application/vnd.kubernetes.protobuf") {
        response.writeHead(404).end();
        return;
      }
      try {
        const decoded = decodeKubernetesProtobuf(body);
        this.bodies.push(decoded);
        response.writeHead(201, { "content-type": "application/json" }).end(JSON.stringify(decoded.object));
      } catch (error) {
        this.errors.push(error);
        response.writeHead(400).end();
      }
    });
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

for (const version of ["1.32", "1.35"] as const) {
  describe(`kubectl ${version} posts protobuf that decodeKubernetesProtobuf() reads`, () => {
    const server = new CaptureServer();
    const folder = mkdtempSync(path.join(tmpdir(), "skerry-kubectl-bodies-"));
    let kubectl = "";
    let url = "";
    before(async () => {
      kubectl = await installKubectl(version);
      url = await server.listen();
      writeFileSync(path.join(folder, "kubeconfig"), "apiVersion: v1\nkind: Config\n");
    });
    after(async () => {
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    });

    const cases: [args: string[], wanted: Record<string, unknown>][] = [
      [
        ["create", "deployment", "web", "--image=nginx:1", "--replicas=0", "--port=80"],
        {
          apiVersion: "apps/v1",
          kind: "Deployment",
          metadata: { name: "web", labels: { app: "web" } },
          spec: {
            replicas: 0,
            selector: { matchLabels: { app: "web" } },
            template: {
              metadata: { labels: { app: "web" } },
              spec: { containers: [{ name: "nginx", image: "nginx:1", ports: [{ containerPort: 80 }] }] },
            },
          },
        },
      ],
      [["create", "namespace", "n"], { apiVersion: "v1", kind: "Namespace", metadata: { name: "n" } }],
      [
        ["create", "secret", "generic", "s", "--from-literal=a=b"],
        { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, data: { a: "Yg==" } },
      ],
      [
        ["create", "configmap", "c", "--from-literal=a=b"],
        { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data: { a: "b" } },
      ],
      [
        ["create", "serviceaccount", "robot"],
        { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "robot" } },
      ],
      [
        ["create", "rolebinding", "b", "--role=r", "--user=u", "--serviceaccount=default:robot"],
        {
          apiVersion: "rbac.authorization.k8s.io/v1",
          kind: "RoleBinding",
          metadata: { name: "b" },
          subjects: [
            { kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "u" },
            { kind: "ServiceAccount", name: "robot", namespace: "default" },
          ],
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
        },
      ],
      [
        ["create", "token", "robot", "--duration=10m"],
        {
          apiVersion: "authentication.k8s.io/v1",
          kind: "TokenRequest",
          spec: { expirationSeconds: 600 },
        },
      ],
      [
        ["auth", "can-i", "get", "/healthz"],
        {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SelfSubjectAccessReview",
          spec: { nonResourceAttributes: { path: "/healthz", verb: "get" } },
        },
      ],
      [["auth", "whoami"], { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" }],
    ];

    for (const [args, wanted] of cases) {
      it(args.join(" "), async (t) => {
        const before = server.bodies.length;
        // kubectl may not like the answer; what counts is what it sent.
        const outcome = await promisify(execFile)(
          kubectl,
          [`--kubeconfig=${folder}/kubeconfig`, `--cache-dir=${folder}/cache`, `--server=${url}`, ...args],
          { signal: t.signal, timeout: 30_000, env: { HOME: folder } },
        ).catch((error: unknown) => error);
        assert.deepEqual(server.errors, []);
        const { object } = server.bodies[before] ?? assert.fail(`nothing was posted: ${String(outcome)}`);
        const { status: _, ...sent } = object;
        assert.deepEqual(trimmed(sent), wanted);
      });
    }
  });
}

/** The object without its empty objects. */
function trimmed(object: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(object, (_, value: unknown) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(
            Object.entries(value).filter(
              ([, inner]) => !(typeof inner === "object" && inner !== null && Object.keys(inner).length === 0),
            ),
          )
        : value,
    ),
  ) as Record<string, unknown>;
}
