/**
 * Records what Go's own packages make of every built-in kind, for the test of our protobuf decoder. Needs Go and its proxy, so
 * it runs by hand, when the tables move to another version of Kubernetes.
 *
 *   node tools/codegen/record-oracle.ts
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

const ROOT = path.join(import.meta.dirname, "../..");

const API_VERSIONS: Readonly<Record<string, string>> = {
  apps: "apps/v1",
  authentication: "authentication.k8s.io/v1",
  authorization: "authorization.k8s.io/v1",
  autoscaling: "autoscaling/v1",
  batch: "batch/v1",
  coordination: "coordination.k8s.io/v1",
  core: "v1",
  discovery: "discovery.k8s.io/v1",
  events: "events.k8s.io/v1",
  meta: "v1",
  policy: "policy/v1",
  rbac: "rbac.authorization.k8s.io/v1",
};

const { definitions } = JSON.parse(readFileSync(path.join(ROOT, "packages/machinery/src/gen/kinds.json"), "utf8")) as {
  definitions: Record<string, string>;
};
const kinds = Object.entries(definitions)
  .filter(
    ([name, fields]) =>
      fields.startsWith("0:apiVersion:string 0:kind:string") && !/^meta\.v1\.Partial|List$/.test(name),
  )
  .map(([name]) => name.split("."))
  .map(([group = "", , kind = ""]) => `${API_VERSIONS[group]}|${kind}`);

const lines = execFileSync("go", ["run", ".", kinds.join(" ")], {
  cwd: path.join(import.meta.dirname, "oracle"),
  maxBuffer: 64 << 20,
});
const { BROTLI_PARAM_LGWIN, BROTLI_PARAM_QUALITY } = zlib.constants;
const target = path.join(ROOT, "packages/machinery/test/protobuf-oracle.jsonl.br");
mkdirSync(path.dirname(target), { recursive: true });
writeFileSync(
  target,
  zlib.brotliCompressSync(lines, { params: { [BROTLI_PARAM_LGWIN]: 24, [BROTLI_PARAM_QUALITY]: 11 } }),
);
