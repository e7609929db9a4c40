import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "@skerry/base/testing";
import { deployment, IMAGE, pod } from "../manifests.ts";
import type { KubectlSession } from "./session.ts";

/** What is wrong with a manifest, and what is right with it and has no effect yet. */
export function refusals(k: KubectlSession): void {
  describe("is told", { concurrency: false }, () => {
    const container = (more: object = {}): object => ({ name: "main", image: IMAGE, ...more });
    const podOf = (spec: object, name = "refused"): object => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec,
    });
    const deploymentOf = (spec: object): object => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "refused" },
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec: { containers: [container()] } },
        ...spec,
      },
    });

    it("what is wrong with a manifest, in the words that users know", async () => {
      const wrong: [object | string, RegExp][] = [
        [
          podOf({ containers: [container({ bar: 1 })], foo: 1 }),
          /strict decoding error: unknown field "spec\.containers\[0\]\.bar", unknown field "spec\.foo"/,
        ],
        [
          deploymentOf({ replicas: "three" }),
          /Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field .*replicas of type int32/,
        ],
        [
          podOf({ containers: { main: container() } }),
          /cannot unmarshal object into Go struct field .*containers of type \[\]v1\.Container/,
        ],
        [
          podOf({ containers: [container({ resources: { limits: { cpu: "much" } } })] }),
          /quantities must match the regular expression/,
        ],
        [podOf({}), /The Pod "refused" is invalid: spec\.containers: Required value/],
        [
          podOf({ containers: [container()] }, "Not_A_Name"),
          /metadata\.name: Invalid value: "Not_A_Name": a lowercase RFC 1123 subdomain/,
        ],
        [
          podOf({
            restartPolicy: "Sometimes",
            containers: [container({ resources: { limits: { cpu: "1" }, requests: { cpu: "2" } } }), container()],
          }),
          /\* spec\.containers\[0\]\.resources\.requests: Invalid value: "2": must be less than or equal to cpu limit[^]*\* spec\.containers\[1\]\.name: Duplicate value: "main"[^]*\* spec\.restartPolicy: Unsupported value: "Sometimes"/,
        ],
        [
          podOf({ containers: [container({ volumeMounts: [{ name: "nope", mountPath: "/x" }] })] }),
          /spec\.containers\[0\]\.volumeMounts\[0\]\.name: Not found: "nope"/,
        ],
        [deploymentOf({ selector: undefined }), /spec\.selector: Required value/],
        [deploymentOf({ selector: { matchLabels: { a: "c" } } }), /`selector` does not match template `labels`/],
        [{ apiVersion: "v1", kind: "Secret", metadata: { name: "refused" }, data: { a: "!" } }, /illegal base64 data/],
        [
          { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "refused" }, data: { a: 1 } },
          /cannot unmarshal number into Go struct field ConfigMap\.data of type string/,
        ],
        [
          { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "refused", labels: { a: "b c" } } },
          /metadata\.labels: Invalid value: "b c"/,
        ],
        [
          {
            apiVersion: "rbac.authorization.k8s.io/v1",
            kind: "Role",
            metadata: { name: "refused" },
            rules: [{ apiGroups: [""], resources: ["pods"] }],
          },
          /rules\[0\]\.verbs: Required value: verbs must contain at least one value/,
        ],
        [{ apiVersion: "v1", metadata: { name: "refused" } }, /kind not set|Object 'Kind' is missing/],
        ["{a: [}", /error parsing|error converting YAML/],
      ];
      for (const [manifest, complaint] of wrong) {
        for (const verb of ["create", "apply"]) assert.match(await k.refuses(manifest, verb), complaint);
      }
      const elsewhere = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x", namespace: "nowhere" } };
      assert.match(
        (await k.outcome(["create", "-n", "nowhere", "-f", "-"], { input: JSON.stringify(elsewhere) })).stderr,
        /namespaces "nowhere" not found/,
      );
    });

    it("what cannot change", async () => {
      await k.given({ ...deploymentOf({ replicas: 0 }) }, "apply");
      await k.given(
        { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "fixed" }, immutable: true, data: { a: "b" } },
        "apply",
      );
      await k.given(podOf({ restartPolicy: "Never", containers: [container()] }, "fixed"), "apply");
      const forbidden: [string, object, RegExp][] = [
        [
          "deployment/refused",
          { spec: { selector: { matchLabels: { z: "z" } } } },
          /spec\.selector: Invalid value: .*: field is immutable/,
        ],
        ["configmap/fixed", { data: { a: "c" } }, /data: Forbidden: field is immutable when `immutable` is set/],
        [
          "pod/fixed",
          { spec: { restartPolicy: "Always" } },
          /spec: Forbidden: pod updates may not change fields other than/,
        ],
        [
          "pod/fixed",
          { metadata: { name: "other" } },
          /the name of the object \(other\) does not match the name on the URL \(fixed\)/,
        ],
        [
          "deployment/refused",
          { spec: { replicas: -1 } },
          /spec\.replicas: Invalid value: -1: must be greater than or equal to 0/,
        ],
      ];
      for (const [what, patch, complaint] of forbidden) {
        assert.match(await k.fails("patch", what, "-p", JSON.stringify(patch)), complaint);
      }
      await k.ok("delete", "deployment/refused", "configmap/fixed", "pod/fixed", "--grace-period=1");
    });

    it("of kinds that are not served", async () => {
      const service = { apiVersion: "v1", kind: "Service", metadata: { name: "s" }, spec: { ports: [{ port: 80 }] } };
      const job = { apiVersion: "batch/v1", kind: "Job", metadata: { name: "j" } };
      for (const args of [["apply"], ["apply", "--server-side"], ["create"]]) {
        assert.match(await k.refuses(service, ...args), /no matches for kind "Service" in version "v1"/);
        assert.match(await k.refuses(job, ...args), /no matches for kind "Job" in version "batch\/v1"/);
      }
      assert.match(
        await k.fails("create", "service", "clusterip", "s", "--tcp=80"),
        /Skerry does not serve services of v1/,
      );
      assert.match(await k.fails("create", "job", "j", "--image=x"), /Skerry does not serve jobs of batch\/v1/);
      assert.match(await k.fails("get", "svc"), /the server doesn't have a resource type "svc"/);
      assert.match(await k.fails("cluster-info"), /the server doesn't have a resource type "services"/);
    });

    it("of fields that have no effect yet, at once and in events", async () => {
      const livenessProbe = { tcpSocket: { port: 8080 } };
      const web = deployment("probed", 1, { namespace: k.namespace });
      const spec = { ...web.spec?.template.spec, affinity: {}, containers: [container({ livenessProbe })] };
      const probed = { ...web, spec: { ...web.spec, template: { ...web.spec?.template, spec } } };
      const { stderr } = await k.given(probed, "apply");
      assert.match(stderr, /^Warning: spec\.template\.spec\.affinity is not honoured yet: /m);
      assert.match(
        stderr,
        /^Warning: spec\.template\.spec\.containers\[main\]\.livenessProbe is not honoured yet: the probe is not run/m,
      );
      const eventsOf = (what: string): Promise<string> => k.ok("events", "--for", what, "--types=Warning");
      const tells = (what: string, words: RegExp): Promise<unknown> =>
        eventually(async () => words.test(await eventsOf(what)), { what: `an event of ${what}`, everyMs: 100 });
      await tells(
        "deployment/probed",
        /Unsupported +Deployment\/probed +spec\.template\.spec\.affinity is not honoured yet: /,
      );
      await tells("deployment/probed", /Unsupported .*containers\[main\]\.livenessProbe is not honoured yet: /);
      await k.ok("rollout", "status", "deployment/probed", "--timeout=30s");
      const [name = ""] = (await k.ok("get", "pods", "-l", "app=probed", "-o", "name")).split("\n");
      await tells(name, /Unsupported .*Not honoured on this node yet: spec\.containers\[main\]\.livenessProbe/);

      const begun = pod("begun", { namespace: k.namespace });
      const withInit = { ...begun, spec: { ...begun.spec, initContainers: [container({ name: "first" })] } };
      assert.match(
        (await k.given(withInit, "apply", "--server-side")).stderr,
        /Warning: spec\.initContainers is not honoured yet: /,
      );
      await tells("pod/begun", /Unsupported +Pod\/begun +This node does not support yet: spec\.initContainers/);
      assert.match(await k.ok("get", "pod", "begun"), /^begun +0\/1 +Unsupported +0 /m);
      await k.ok("delete", "deployment/probed", "pod/begun");
    });
  });
}
