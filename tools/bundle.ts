/**
 * Bundles the program into node_modules/.cache/skerry, unless the bundle there is that of the sources as they are. Daemons
 * run the bundle: it takes less memory than modules of their own, and no stripping of types.
 */
import { readFileSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { rolldown, type Plugin } from "rolldown";
import { writeFileAtomic } from "../packages/base/src/files.ts";
import { BUNDLES, freshBundle, hashOf, MANIFEST, stampOf } from "../packages/cli/src/program/fresh-bundle.js";

const ROOT = path.dirname(import.meta.dirname);

/** Daemons that run load parts of their bundle late, so a bundle stays for a while when it is not the newest any more. */
const KEPT_BUNDLES = 8;
const KEPT_MS = 7 * 86_400_000;

const DAEMONS = ["cloud", "edge"];
const COMMANDS = "packages/cli/src/commands/table.ts";

type Sources = Record<string, { stamp: string; hash: string }>;

/** What decides which modules there are, and how they are put together. */
async function buildFiles(): Promise<string[]> {
  const packages = await readdir(path.join(ROOT, "packages"));
  return [
    "package.json",
    "package-lock.json",
    "tools/bundle.ts",
    ...packages.map((name) => `packages/${name}/package.json`),
  ];
}

/** Notes of each source what was really read: one that changes under the bundler is seen as changed afterwards. */
function read(name: string, sources: Sources): string {
  const file = path.join(ROOT, name);
  const stamp = stampOf(file);
  const bytes = readFileSync(file);
  sources[name] = { stamp, hash: hashOf(bytes) };
  return bytes.toString();
}

const sourcesPlugin = (daemon: string, sources: Sources): Plugin => ({
  name: "skerry-sources",
  load(id) {
    const file = path.relative(ROOT, id);
    if (!path.isAbsolute(id) || file.startsWith("..")) return null;
    const code = read(file, sources);
    if (file === COMMANDS) {
      // Of all commands the daemon's alone: what the others need would be in the bundle too.
      return `import { ${daemon} } from "./${daemon}.ts";
        export const COMMANDS = { ${daemon}: async () => ${daemon} }, COMMAND_NAMES = ["${daemon}"];`;
    }
    if (!file.startsWith("packages/")) return code;
    return code
      .replaceAll(/new URL\("\.\/([\w-]+)\.ts", import\.meta\.url\)/g, (_, name: string) => {
        // A thread's program: bundled beside its starter.
        this.emitFile({ type: "chunk", id: path.join(path.dirname(id), `${name}.ts`), fileName: `${name}.js` });
        return `new URL("./${name}.js", import.meta["url"])`;
      })
      .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(id).href));
  },
});

/** Makes the bundle; resolves with its folder. */
async function makeBundle(): Promise<string> {
  const bundles = path.join(ROOT, BUNDLES);
  await mkdir(bundles, { recursive: true });
  const made = await mkdtemp(path.join(bundles, "making-"));
  try {
    const sources: Sources = {};
    for (const name of await buildFiles()) read(name, sources);
    for (const daemon of DAEMONS) {
      await using bundle = await rolldown({
        input: { [daemon]: path.join(ROOT, "bin/skerry.ts") },
        platform: "node",
        logLevel: "warn",
        plugins: [sourcesPlugin(daemon, sources)],
      });
      // Names stay: they are what stacks in logs are read by.
      await bundle.write({ dir: made, format: "esm", minify: { compress: true, mangle: false, codegen: true } });
    }
    // Without it Node would parse each file twice to find out; and whoever may read the clone may run it.
    await writeFile(path.join(made, "package.json"), '{"type":"module"}\n');
    await chmod(made, 0o755);
    const dir = hashOf(Buffer.from(JSON.stringify(Object.values(sources).map(({ hash }) => hash))))
      .replaceAll(/\W/g, "")
      .slice(0, 16);
    await rename(made, path.join(bundles, dir)).catch(async (error: NodeJS.ErrnoException) => {
      // The same sources were bundled before, or just now by another.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
    await writeFileAtomic(path.join(bundles, MANIFEST), JSON.stringify({ root: ROOT, dir, sources }));
    await forgetOld(bundles, dir);
    return path.join(bundles, dir);
  } finally {
    await rm(made, { recursive: true, force: true });
    await giveToOwner();
  }
}

async function forgetOld(bundles: string, current: string): Promise<void> {
  const names = (await readdir(bundles)).filter((name) => name !== current && name !== MANIFEST);
  const ages = await Promise.all(
    names.map(async (name) => ({
      name,
      madeMs: (await stat(path.join(bundles, name)).catch(() => undefined))?.mtimeMs,
    })),
  );
  const old = ages
    .filter(({ madeMs }) => madeMs !== undefined && Date.now() - madeMs > KEPT_MS)
    .toSorted((a, b) => b.madeMs! - a.madeMs!)
    .slice(KEPT_BUNDLES - 1);
  for (const { name } of old) await rm(path.join(bundles, name), { recursive: true, force: true });
}

/** Files of a clone stay its owner's, also when root made them. */
async function giveToOwner(): Promise<void> {
  const { uid, gid } = await stat(ROOT);
  if (process.getuid?.() !== 0 || uid === 0) return;
  const cache = path.join(ROOT, path.dirname(BUNDLES));
  const names = await readdir(path.join(ROOT, BUNDLES), { recursive: true });
  const ours = names.map((name) => path.join(ROOT, BUNDLES, name));
  // Another may remove what it made meanwhile.
  for (const file of [cache, path.join(ROOT, BUNDLES), ...ours]) await chown(file, uid, gid).catch(() => {});
}

console.log(path.relative(ROOT, freshBundle(ROOT) ?? (await makeBundle())));
