import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { installKubectl, type KubectlVersion } from "../../tools/kubectl/kubectl.ts";
import { ApiWorld } from "../api-world.ts";

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

type Kubectl = (...args: string[]) => Promise<Outcome>;

const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: nginx}]
`;

/** Runs a kubectl against a world of its own, with a home of its own. */
async function withKubectl(
  version: KubectlVersion,
  run: (kubectl: Kubectl, files: string, world: ApiWorld) => Promise<void>,
): Promise<void> {
  const program = await installKubectl(version);
  await using world = await new ApiWorld().start();
  const { file, home } = await world.kubeconfig();
  const kubectl: Kubectl = (...args) =>
    new Promise((resolve) => {
      const env = { HOME: home, KUBECONFIG: file, PATH: process.env["PATH"] ?? "" };
      execFile(program, args, { env, timeout: 60_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
      );
    });
  await run(kubectl, home, world);
}

/** What a command prints that succeeds. */
async function ok(outcome: Promise<Outcome>): Promise<string> {
  const { code, stdout, stderr } = await outcome;
  assert.equal(code, 0, stderr + stdout);
  return stdout;
}

for (const version of ["1.32", "1.35"] as const) {
  describe(`kubectl ${version}`, { concurrency: true }, () => {
    it("finds out what is served", () =>
      withKubectl(version, async (kubectl) => {
        assert.match(await ok(kubectl("version")), /Server Version: v1\.35\.0\+skerry/);
        assert.match(await ok(kubectl("api-resources")), /deployments +deploy +apps\/v1 +true +Deployment/);
        assert.match(await ok(kubectl("api-versions")), /^rbac\.authorization\.k8s\.io\/v1$/m);
        assert.match(await ok(kubectl("explain", "pod.spec.containers.image")), /FIELD: image <string>/);
        assert.doesNotMatch(await ok(kubectl("explain", "deploy.spec.strategy")), /<no description>/);
        assert.match(
          await ok(kubectl("explain", "deploy.spec", "--recursive")),
          /rollingUpdate\s+<RollingUpdateDeployment>/,
        );
      }));

    it("creates things with protobuf bodies", () =>
      withKubectl(version, async (kubectl) => {
        await ok(kubectl("create", "namespace", "foo"));
        await ok(kubectl("create", "secret", "generic", "s", "--from-literal=a=b"));
        await ok(kubectl("create", "deployment", "web", "--image=nginx", "--replicas=0"));
        await ok(kubectl("create", "serviceaccount", "robot"));
        await ok(kubectl("create", "role", "r", "--verb=get,list", "--resource=pods"));
        await ok(kubectl("create", "rolebinding", "rb", "--role=r", "--serviceaccount=default:robot"));
        assert.equal(await ok(kubectl("get", "secret", "s", "-o", "jsonpath={.data.a}")), "Yg==");
        assert.equal(await ok(kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}")), "0");
        const robot = "--as=system:serviceaccount:default:robot";
        assert.equal(await ok(kubectl("auth", "can-i", "list", "pods", robot)), "yes\n");
        assert.equal((await kubectl("auth", "can-i", "delete", "pods", robot)).stdout, "no\n");
        assert.match(await ok(kubectl("auth", "can-i", "--list", robot)), /pods +\[\] +\[\] +\[get list\]/);
        assert.match(await ok(kubectl("auth", "whoami")), /Username +admin/);
        const token = (await ok(kubectl("create", "token", "robot"))).trim();
        assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
      }));

    it("applies, on either side", () =>
      withKubectl(version, async (kubectl, files) => {
        const file = path.join(files, "web.yaml");
        await writeFile(file, DEPLOYMENT);
        assert.match(
          await ok(kubectl("diff", "-f", file).then((o) => ({ ...o, code: o.code === 1 ? 0 : o.code }))),
          /\+ {2}name: web/,
        );
        assert.match(await ok(kubectl("apply", "--dry-run=server", "-f", file)), /created \(server dry run\)/);
        assert.match(await ok(kubectl("apply", "-f", file)), /created/);
        assert.match(await ok(kubectl("apply", "-f", file)), /unchanged/);
        await writeFile(file, DEPLOYMENT.replace("nginx", "nginx:2"));
        assert.match(await ok(kubectl("apply", "-f", file)), /configured/);
        assert.match(await ok(kubectl("apply", "--server-side", "-f", file)), /serverside-applied/);
        await writeFile(file, DEPLOYMENT.replace("replicas: 1", "replicas: 1\n  colour: red"));
        const { code, stderr } = await kubectl("apply", "-f", file);
        assert.equal(code, 1);
        assert.match(stderr, /strict decoding error: unknown field "spec.colour"/);
      }));

    it("changes, prints and deletes", () =>
      withKubectl(version, async (kubectl) => {
        await ok(kubectl("create", "configmap", "c", "--from-literal=a=b"));
        await ok(kubectl("label", "cm", "c", "x=y"));
        await ok(kubectl("annotate", "cm", "c", "note=hi"));
        await ok(kubectl("patch", "cm", "c", "-p", '{"data":{"b":"2"}}'));
        await ok(kubectl("patch", "cm", "c", "--type=json", "-p", '[{"op":"add","path":"/data/c","value":"3"}]'));
        assert.match(await ok(kubectl("get", "cm", "c")), /^NAME +DATA +AGE\nc +3 +\d+s\n$/);
        assert.match(await ok(kubectl("get", "cm", "-l", "x=y", "--show-labels")), /x=y/);
        await ok(kubectl("run", "p", "--image=nginx"));
        assert.match(await ok(kubectl("get", "pods", "-o", "wide")), /NAME +READY +STATUS +RESTARTS +AGE +IP +NODE/);
        assert.match(await ok(kubectl("describe", "pod", "p")), /Status: +Pending/);
        assert.match(await ok(kubectl("get", "all")), /pod\/p/);
        await ok(kubectl("set", "image", "pod/p", "p=nginx:2"));
        assert.match((await kubectl("logs", "p")).stderr, /pod p does not have a host assigned/);
        assert.match((await kubectl("exec", "p", "--", "ls")).stderr, /Skerry does not have exec yet/);
        await ok(kubectl("delete", "pod", "p"));
        await ok(kubectl("delete", "cm", "c"));
        assert.match(
          (await kubectl("get", "cm", "c")).stderr,
          /Error from server \(NotFound\): configmaps "c" not found/,
        );
      }));

    it("watches, and waits", () =>
      withKubectl(version, async (kubectl) => {
        await ok(kubectl("create", "configmap", "c"));
        await ok(kubectl("create", "configmap", "stays"));
        const gone = kubectl("wait", "--for=delete", "cm/c", "--timeout=30s");
        const seen = kubectl("get", "cm", "-w", "--request-timeout=2s");
        await ok(kubectl("delete", "cm", "c"));
        await ok(gone);
        assert.match((await seen).stdout, /NAME +DATA +AGE\n(?:c .*\n)?stays +0/);
        await ok(kubectl("create", "deployment", "web", "--image=nginx"));
        const { code } = await kubectl("rollout", "status", "deploy/web", "--timeout=1s");
        assert.equal(code, 1, "nobody rolls anything out here");
      }));
  });
}

it("kubectl's discovery cache holds what the API said", async () => {
  await withKubectl("1.35", async (kubectl, home) => {
    await ok(kubectl("get", "ns"));
    const { stdout } = await new Promise<{ stdout: string }>((resolve, reject) =>
      execFile("find", [home, "-name", "*.json", "-path", "*discovery*"], (error, stdout) =>
        error ? reject(error) : resolve({ stdout }),
      ),
    );
    const files = stdout.trim().split("\n");
    assert.ok(
      files.some((file) => file.includes("apps/v1")),
      stdout,
    );
    for (const file of files) assert.ok(JSON.parse(await readFile(file, "utf8")));
  });
});
