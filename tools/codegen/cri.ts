/**
 * Makes the tables of CRI's and containerd's messages from the descriptors inside a `containerd` program.
 *
 *   node tools/codegen/cri.ts /usr/bin/containerd [OUTPUT]
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { findDescriptors } from "./descriptors.ts";
import { formatJson, writeOutputs } from "./manifest.ts";
import { camelCase, messageTable } from "./message-table.ts";
import { messageTypes } from "./message-types.ts";

const ROOT = path.join(import.meta.dirname, "../..");

/** containerd's own API, as far as an image import, leases, events, looking for strays and ending them need it. */
const CONTAINERD_PACKAGES = new Set([
  "containerd.events",
  "containerd.services.containers.v1",
  "containerd.services.content.v1",
  "containerd.services.diff.v1",
  "containerd.services.events.v1",
  "containerd.services.images.v1",
  "containerd.services.leases.v1",
  "containerd.services.namespaces.v1",
  "containerd.services.tasks.v1",
  "containerd.services.version.v1",
  "containerd.types",
  "containerd.v1.types",
]);

const GOOGLE_FILES = new Set([
  "google/protobuf/any.proto",
  "google/protobuf/empty.proto",
  "google/protobuf/field_mask.proto",
  "google/protobuf/timestamp.proto",
  "google/rpc/status.proto",
]);

const program = process.argv[2];
if (program === undefined) throw new Error("Cannot generate CRI's tables: name the containerd program");
const files = findDescriptors(readFileSync(program));

/** Field names are proto 3's JSON names. */
const fieldNameOf = camelCase;

const cri = messageTable(
  files.filter((file) => file.package === "runtime.v1"),
  { nameOf: (name) => name.replace(/^runtime\.v1\./, "").replaceAll(".", ""), fieldNameOf },
);

/** The package goes, nested names are joined; `messageTable` refuses two that would be called alike. */
const shortName = (fullName: string): string => {
  const name = fullName.replace(
    /^(containerd\.(services\.\w+\.v1|events|types|v1\.types)|google\.(protobuf|rpc))\./,
    "",
  );
  if (fullName.startsWith("google.rpc.")) return `Rpc${name}`;
  if (fullName.startsWith("containerd.v1.types.")) return `Task${name}`;
  return name.replaceAll(".", "");
};
const containerd = messageTable(
  files.filter((file) => CONTAINERD_PACKAGES.has(file.package) || GOOGLE_FILES.has(file.name)),
  { nameOf: shortName, fieldNameOf },
);

const heading = (what: string, table: string): string =>
  `/** Types of ${what}, made by \`npm run codegen\` beside \`${table}\`. Do not edit. */`;

writeOutputs({
  root: ROOT,
  target: process.argv[3] ?? ROOT,
  folder: "packages/agent/src/runtime/cri/gen",
  command: "node tools/codegen/cri.ts /usr/bin/containerd",
  inputs: { containerd: execFileSync(program, ["--version"], { encoding: "utf8" }).trim() },
  generators: ["cri", "descriptors", "message-table", "message-types"].map((name) => `tools/codegen/${name}.ts`),
  outputs: {
    "cri.json": formatJson(cri),
    "cri.ts": messageTypes(cri, heading("CRI's runtime.v1 messages", "cri.json")),
    "containerd.json": formatJson(containerd),
    "containerd.ts": messageTypes(containerd, heading("containerd's messages", "containerd.json")),
  },
});
