import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";

/** From the ground up: a package imports only from packages to its left. */
const LAYERS = [
  "base",
  "machinery",
  "store",
  "client",
  "wire",
  "apiserver",
  "controllers",
  "hub",
  "agent",
  "cli",
  "harness",
];

/** Neighbours in the list that must not know each other, whatever their order. */
const APART: readonly (readonly [importer: string, imported: string, why: string])[] = [
  ["client", "store", "only the API server's port and the composition root touch the store"],
  ["apiserver", "store", "the API server owns a storage port, which the composition root fills"],
  ["wire", "store", "frames know no storage"],
  ["wire", "client", "frames know no API client"],
  ["controllers", "store", "controllers see the API through client"],
  ["controllers", "wire", "controllers see the API through client"],
  ["controllers", "apiserver", "controllers see the API through client, so that they run on any Kubernetes"],
  ["hub", "store", "the hub sees the API through client"],
  ["hub", "apiserver", "the hub sees the API through client, so that it runs on any Kubernetes"],
  ["hub", "controllers", "siblings"],
  ["agent", "store", "the edge has its own cache"],
  ["agent", "controllers", "the edge must not need the cloud's parts"],
  ["agent", "hub", "the edge must not need the cloud's parts"],
];

/** A third-party library, or a builtin that we wrap, is imported in one place only. */
const HOME: Record<string, string> = {
  "node:sqlite": "packages/base/src/sqlite.ts",
  pino: "packages/base/src/log.ts",
  ws: "packages/wire/src/",
};

interface Manifest {
  dependencies?: Record<string, string>;
}

const IMPORT = /^\s*(?:import|export)\b[^"'`;]*\bfrom\s*"([^"]+)"|\bimport\s*\(\s*"([^"]+)"|^\s*import\s+"([^"]+)"/gm;

const specifiersOf = (file: string): string[] =>
  [...readFileSync(file, "utf8").matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");

const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

for (const name of LAYERS) {
  const root = path.join("packages", name);
  const files = globSync(`${root}/src/**/*.ts`);
  if (files.length === 0) continue;
  const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as Manifest;
  const below = new Set(LAYERS.slice(0, LAYERS.indexOf(name)).map((layer) => `@skerry/${layer}`));
  const apart = new Map(
    APART.filter(([importer]) => importer === name).map(([, imported, why]) => [`@skerry/${imported}`, why]),
  );

  describe(`@skerry/${name}`, () => {
    for (const file of files) {
      const isTest = file.endsWith(".test.ts");
      it(`${path.relative(root, file)} imports only what lies below it and what its manifest names`, () => {
        for (const specifier of specifiersOf(file)) {
          const home = HOME[packageOf(specifier)];
          assert.ok(home === undefined || file.startsWith(home) || isTest, `${specifier} is imported in ${home} only`);
          if (specifier.startsWith("node:")) continue;
          if (specifier.startsWith(".")) {
            const target = path.resolve(path.dirname(file), specifier);
            const inside = isTest ? path.resolve(root) : path.resolve(root, "src");
            assert.ok(target.startsWith(inside + path.sep), `${specifier} leaves the package`);
            continue;
          }
          const dependency = packageOf(specifier);
          const known = isTest && !dependency.startsWith("@skerry/");
          assert.ok(known || dependency in (manifest.dependencies ?? {}), `${dependency} is not in the manifest`);
          if (!dependency.startsWith("@skerry/")) continue;
          assert.ok(below.has(dependency), `${dependency} lies above`);
          assert.ok(!apart.has(dependency), `${dependency}: ${apart.get(dependency)}`);
        }
      });
    }
  });
}

describe("package-lock.json", () => {
  const lock = JSON.parse(readFileSync("package-lock.json", "utf8")) as { packages: Record<string, Manifest> };
  for (const name of LAYERS) {
    it(`knows what packages/${name} depends on, so that set-up changes nothing`, () => {
      const manifest = JSON.parse(readFileSync(path.join("packages", name, "package.json"), "utf8")) as Manifest;
      assert.deepEqual(lock.packages[`packages/${name}`]?.dependencies ?? {}, manifest.dependencies ?? {});
    });
  }
});
