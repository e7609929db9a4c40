/**
 * Brings what whole-system tests need and the machine lacks: the edge's own packages, tools that the tests look with, and the
 * oldest and newest kubectl. Needs root, as the tests do.
 */
import { EDGE_NEEDS, installNeeds, missingNeeds } from "../packages/cli/src/setup/packages.ts";
import { installKubectl } from "./kubectl/kubectl.ts";

if (process.getuid?.() !== 0) {
  console.error(
    "Whole-system tests make network namespaces and run containers: run npm test as root (npm run check needs no root)",
  );
  process.exit(1);
}
const signal = AbortSignal.timeout(600_000);
const missing = missingNeeds([
  ...EDGE_NEEDS,
  { name: "nsenter", package: "util-linux", anyOf: ["nsenter"] },
  { name: "systemd-analyze", package: "systemd", anyOf: ["systemd-analyze"] },
  { name: "sudo", package: "sudo", anyOf: ["sudo"] },
  { name: "useradd", package: "passwd", anyOf: ["useradd"] },
  { name: "curl", package: "curl", anyOf: ["curl"] },
  {
    name: "docker-registry",
    package: "docker-registry",
    anyOf: ["docker-registry"],
    service: "docker-registry.service",
  },
  { name: "faketime", package: "faketime", anyOf: ["faketime"] },
]);
if (missing.length > 0) {
  console.log(`test: installing with apt-get: ${missing.map((need) => need.package).join(" ")}`);
  await installNeeds(missing, signal);
}
if (process.arch === "x64") {
  for (const version of ["1.32", "1.35"] as const) console.log(`test: ${await installKubectl(version, { signal })}`);
}
