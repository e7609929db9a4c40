import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deployment } from "../manifests.ts";
import type { KubectlSession } from "./session.ts";

/** create, apply, diff, edit, patch, label, annotate, replace. */
export function writing(k: KubectlSession): void {
  describe("writes", { concurrency: false }, () => {
    it("every kind by its own command", async () => {
      const { namespace } = k;
      const file = await k.write("file.txt", "of a file\n");
      const cluster = `${namespace}-made`;
      const created: [string, string][] = [
        [`namespace ${cluster}`, `namespace/${cluster}`],
        ["deployment made --image=skerry.local/hello:1 --replicas=0 --port=80", "deployment.apps/made"],
        [`configmap made --from-literal=a=b --from-file=${file}`, "configmap/made"],
        ["secret generic made --from-literal=a=b", "secret/made"],
        [
          "secret docker-registry registry --docker-server=x --docker-username=u --docker-password=p",
          "secret/registry",
        ],
        ["serviceaccount made", "serviceaccount/made"],
        ["role made --verb=get,list --resource=pods,deployments.apps", "role.rbac.authorization.k8s.io/made"],
        [
          `rolebinding made --role=made --serviceaccount=${namespace}:made`,
          "rolebinding.rbac.authorization.k8s.io/made",
        ],
        [
          `clusterrole ${cluster} --verb=get --resource=nodes --resource-name=n`,
          `clusterrole.rbac.authorization.k8s.io/${cluster}`,
        ],
        [
          `clusterrolebinding ${cluster} --clusterrole=${cluster} --group=g`,
          `clusterrolebinding.rbac.authorization.k8s.io/${cluster}`,
        ],
      ];
      for (const [what, name] of created) {
        assert.equal(await k.ok("create", ...what.split(" ")), `${name} created\n`);
        assert.match(await k.fails("create", ...what.split(" ")), / already exists$/m);
      }
      assert.equal(await k.value("configmap/made", ".data.file\\.txt"), "of a file\n");
      assert.equal(await k.value("secret/made", ".data.a"), "Yg==");
      assert.equal(await k.value("secret/registry", ".type"), "kubernetes.io/dockerconfigjson");
      assert.equal(await k.value("deployment/made", ".spec.replicas"), "0");
      assert.equal(await k.value("rolebinding/made", ".subjects[0].name"), "made");
      assert.match(await k.ok("create", "token", "made", "--duration=20m"), /^[\w-]+\.[\w-]+\.[\w-]+\s*$/);
      assert.equal(
        await k.ok("create", "configmap", "dry", "--dry-run=server", "-o", "name"),
        "configmap/dry\n",
        "a dry run answers",
      );
      assert.match(await k.fails("get", "configmap", "dry"), /NotFound/);
      await k.ok("delete", "namespace", cluster);
      await k.ok("delete", `clusterrole/${cluster}`, `clusterrolebinding/${cluster}`);
    });

    it("what a manifest says, and takes away what it says no more", async () => {
      const { namespace } = k;
      const base = deployment("applied", 0, { namespace });
      const first = { ...base, metadata: { ...base.metadata, labels: { app: "applied", old: "yes" } } };
      const made = await k.outcome(["diff", "-f", "-"], { input: JSON.stringify(first) });
      assert.equal(made.code, 1);
      assert.match(made.stdout, /^\+ {2}name: applied$/m);
      assert.match((await k.given(first, "apply", "--dry-run=server")).stdout, /created \(server dry run\)/);
      assert.equal((await k.given(first, "apply")).stdout, "deployment.apps/applied created\n");
      assert.equal((await k.given(first, "apply")).stdout, "deployment.apps/applied unchanged\n");
      assert.equal((await k.outcome(["diff", "-f", "-"], { input: JSON.stringify(first) })).code, 0);
      await k.ok("label", "deployment/applied", "others=stay");
      const changed = await k.outcome(["diff", "-f", "-"], { input: JSON.stringify(base) });
      assert.match(changed.stdout, /^- {4}old: "yes"$/m);
      assert.equal((await k.given(base, "apply")).stdout, "deployment.apps/applied configured\n");
      const labels = JSON.parse(await k.value("deployment/applied", ".metadata.labels")) as object;
      assert.deepEqual(labels, { app: "applied", others: "stay" });
      assert.match(await k.ok("apply", "view-last-applied", "deployment/applied"), /replicas: 0/);
    });

    it("what it applies on the server's side, and yields to who owns a field", async () => {
      const { namespace } = k;
      const configMap = (data: object): object => ({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "shared", namespace },
        data,
      });
      const apply = ["apply", "--server-side"];
      assert.equal(
        (await k.given(configMap({ a: "1", b: "1" }), ...apply)).stdout,
        "configmap/shared serverside-applied\n",
      );
      await k.given(configMap({ c: "3" }), ...apply, "--field-manager=other");
      const conflict = await k.refuses(configMap({ a: "2", c: "3" }), ...apply, "--field-manager=other");
      assert.match(conflict, /Apply failed with 1 conflict: conflict with "kubectl": \.data\.a/);
      await k.given(configMap({ a: "2", c: "3" }), ...apply, "--field-manager=other", "--force-conflicts");
      const data = async (): Promise<unknown> => JSON.parse(await k.value("configmap/shared", ".data"));
      assert.deepEqual(await data(), { a: "2", b: "1", c: "3" });
      await k.given(configMap({ a: "2" }), ...apply, "--field-manager=other");
      assert.deepEqual(await data(), { a: "2", b: "1" }, "what its only owner applies no more is gone");

      const web = deployment("scaled", 0, { namespace });
      await k.given(web, ...apply);
      await k.ok("scale", "deployment/scaled", "--replicas=1");
      const scaled = await k.refuses(web, ...apply);
      assert.match(scaled, /conflict with "kubectl" with subresource "scale" using apps\/v1: \.spec\.replicas/);
      await k.given(web, ...apply, "--force-conflicts");
      assert.equal(await k.value("deployment/scaled", ".spec.replicas"), "0");
      // From one side to the other, nothing is lost and nothing is in the way.
      await k.given(deployment("moved", 0, { namespace }), "apply");
      await k.given(deployment("moved", 0, { namespace, image: "other:1" }), ...apply);
      assert.equal(await k.value("deployment/moved", ".spec.template.spec.containers[0].image"), "other:1");
    });

    it("the difference that a patch of each type says", async () => {
      await k.ok("create", "deployment", "patched", "--image=a:1", "--replicas=0");
      const patch = (type: string, body: unknown): Promise<string> =>
        k.ok("patch", "deployment/patched", `--type=${type}`, "-p", JSON.stringify(body));
      const containers = async (): Promise<unknown> =>
        (
          JSON.parse(await k.value("deployment/patched", ".spec.template.spec.containers")) as {
            name: string;
            image: string;
          }[]
        ).map(({ name, image }) => `${name} ${image}`);
      await patch("strategic", { spec: { template: { spec: { containers: [{ name: "b", image: "b:1" }] } } } });
      assert.deepEqual(await containers(), ["b b:1", "a a:1"]);
      await patch("json", [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: "b:2" }]);
      assert.deepEqual(await containers(), ["b b:2", "a a:1"]);
      await patch("merge", { spec: { template: { spec: { containers: [{ name: "c", image: "c:1" }] } } } });
      assert.deepEqual(await containers(), ["c c:1"]);
      assert.match(await patch("merge", {}), /patched \(no change\)/);
      assert.match(
        await k.fails("patch", "deployment/patched", "--type=json", "-p", '[{"op":"test","path":"/kind","value":"x"}]'),
        /the server rejected our request due to an error in our request/,
      );
      await k.ok("patch", "deployment/patched", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":0}}');
    });

    it("what an editor leaves, labels and annotations", async () => {
      await k.ok("create", "configmap", "edited", "--from-literal=word=sea");
      const editor = await k.write("editor.sh", '#!/bin/sh\nsed -i "s/word: sea/word: shore/" "$1"\n', 0o700);
      const edit = (): ReturnType<typeof k.outcome> =>
        k.outcome(["edit", "cm/edited"], { env: { KUBE_EDITOR: editor } });
      assert.equal((await edit()).stdout, "configmap/edited edited\n");
      assert.equal(await k.value("cm/edited", ".data.word"), "shore");
      assert.match((await edit()).stderr + (await edit()).stdout, /Edit cancelled, no changes made/);

      assert.match(await k.ok("label", "cm/edited", "x=1"), /labeled/);
      assert.match(await k.fails("label", "cm/edited", "x=2"), /already has a value \(1\), and --overwrite is false/);
      await k.ok("label", "cm/edited", "x=2", "--overwrite");
      assert.equal(await k.ok("get", "cm", "-l", "x=2", "-o", "name"), "configmap/edited\n");
      assert.match(await k.ok("label", "cm", "-l", "x=2", "x-"), /unlabeled/);
      await k.ok("annotate", "cm/edited", "note=two words");
      assert.equal(await k.value("cm/edited", ".metadata.annotations.note"), "two words");
      await k.ok("annotate", "cm/edited", "note-");
      assert.equal(await k.value("cm/edited", ".metadata.annotations"), "");

      const whole = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "edited" }, data: { only: "this" } };
      assert.match((await k.given(whole, "replace")).stdout, /replaced/);
      assert.equal(await k.value("cm/edited", ".data"), '{"only":"this"}');
      const stale = { ...whole, metadata: { name: "edited", resourceVersion: "1" } };
      assert.match(await k.refuses(stale, "replace"), /Conflict.*the object has been modified/);
    });
  });
}
