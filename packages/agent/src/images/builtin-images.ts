import { readFile, stat } from "node:fs/promises";
import { createHash } from "node:crypto";
import { isMissingFile } from "@skerry/base";
import type { ImageRecipe } from "./oci-image.ts";
import { isStaticBinary } from "./static-binary.ts";
import type { TarEntry } from "./ustar.ts";

/** Holds a pod's namespaces, and reaps the orphans of pods that share their processes. */
export const PAUSE_IMAGE = "skerry.local/pause:1";
/** The sample: a small HTTP server on port 8080 whose page names the pod. */
export const HELLO_IMAGE = "skerry.local/hello:1";

/** Static programs of this machine from which the images are made; Debian's packages `busybox-static` and `catatonit`. */
export interface StaticPrograms {
  busybox: string;
  catatonit: string;
}

export const DEBIAN_STATIC_PROGRAMS: StaticPrograms = { busybox: "/bin/busybox", catatonit: "/usr/bin/catatonit" };

/** Raised when a recipe changes, so that machines with the older image make it anew. */
const RECIPE_VERSION = 1;

/** A processor as images name it (OCI image spec, after Go's `GOARCH`), from Node's name for it. */
export const imageArchitecture = (machine: string): string => (machine === "x64" ? "amd64" : machine);

export interface BuiltinImage {
  name: string;
  /** Tells one version of the recipe and its programs from another, without reading them. */
  fingerprint: string;
  recipe(): Promise<ImageRecipe>;
}

/**
 * The images that every edge has, made on the spot: there may be no registry, now or ever.
 *
 * @param machine - the processor as Node names it (`process.arch`).
 */
export async function builtinImages(
  machine: string,
  programs: StaticPrograms = DEBIAN_STATIC_PROGRAMS,
): Promise<BuiltinImage[]> {
  const architecture = imageArchitecture(machine);
  const image = async (
    name: string,
    sources: readonly string[],
    make: () => Promise<Pick<ImageRecipe, "config" | "files">>,
  ): Promise<BuiltinImage> => ({
    name,
    fingerprint: await fingerprintOf([name, String(RECIPE_VERSION), architecture], sources),
    recipe: async () => ({ name, architecture, ...(await make()) }),
  });
  return [
    await image(PAUSE_IMAGE, [programs.catatonit], async () => ({
      config: { Entrypoint: ["/pause", "-P"] },
      files: [await program("pause", programs.catatonit, "catatonit")],
    })),
    await image(HELLO_IMAGE, [programs.busybox, programs.catatonit], async () => ({
      config: {
        Entrypoint: ["/bin/catatonit", "--", "/bin/hello"],
        Env: ["PATH=/bin"],
        User: "65534:65534",
        WorkingDir: "/",
        ExposedPorts: { "8080/tcp": {} },
        Labels: { "org.opencontainers.image.title": "hello" },
      },
      files: await helloFiles(programs),
    })),
  ];
}

/** What somebody who looks into the sample's container may want to use. */
const APPLETS =
  "ash cat chmod cp cut date df dmesg du echo env false find free grep head hostname httpd id ifconfig ip kill ln ls " +
  "md5sum mkdir mount mv nc netstat ping printf ps pwd rm sed seq sh sleep sort stat tail tar tee test top touch tr true " +
  "uname uptime vi wc which xargs yes";

const HELLO_SCRIPT = `#!/bin/sh
port="\${PORT:-8080}"
echo "hello from \${POD_NAME:-$(hostname)}, listening on port $port"
exec httpd -f -v -p "$port" -h /www
`;

const PAGE_SCRIPT = `#!/bin/sh
printf 'Content-Type: text/html; charset=utf-8\\r\\nCache-Control: no-store\\r\\n\\r\\n'
cat <<END
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>hello</title>
<style>body { font: 1.2rem system-ui, sans-serif; margin: 4rem auto; max-width: 36rem } dt { opacity: .6 } dd { margin: 0 0 1rem }</style>
<h1>Hello from the edge</h1>
<dl>
<dt>pod</dt><dd>\${POD_NAME:-$(hostname)}</dd>
<dt>host name</dt><dd>$(hostname)</dd>
<dt>node</dt><dd>\${NODE_NAME:-not told}</dd>
<dt>time</dt><dd>$(date -u '+%Y-%m-%d %H:%M:%S UTC')</dd>
</dl>
</html>
END
`;

async function helloFiles(programs: StaticPrograms): Promise<TarEntry[]> {
  const text = (path: string, content: string, mode = 0o644): TarEntry => ({
    type: "file",
    path,
    mode,
    content: Buffer.from(content),
  });
  return [
    { type: "directory", path: "bin", mode: 0o755 },
    await program("bin/busybox", programs.busybox, "busybox-static"),
    await program("bin/catatonit", programs.catatonit, "catatonit"),
    ...APPLETS.split(" ").map((applet): TarEntry => ({ type: "symlink", path: `bin/${applet}`, target: "busybox" })),
    text("bin/hello", HELLO_SCRIPT, 0o755),
    { type: "directory", path: "etc", mode: 0o755 },
    text("etc/passwd", "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    text("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    { type: "directory", path: "tmp", mode: 0o1777 },
    { type: "directory", path: "www", mode: 0o755 },
    text("www/healthz", "ok\n"),
    { type: "directory", path: "www/cgi-bin", mode: 0o755 },
    // busybox's httpd runs it for a folder without an index.html.
    text("www/cgi-bin/index.cgi", PAGE_SCRIPT, 0o755),
  ];
}

async function program(path: string, source: string, debianPackage: string): Promise<TarEntry> {
  const mend = `install it with "apt-get install ${debianPackage}"`;
  let content: Buffer;
  try {
    content = await readFile(source);
  } catch (error) {
    if (!isMissingFile(error)) throw error;
    throw new Error(`Cannot make the built-in images: there is no ${source}; ${mend}`, { cause: error });
  }
  if (!isStaticBinary(content))
    throw new Error(`Cannot make the built-in images: ${source} is not a static program; ${mend}`);
  return { type: "file", path, mode: 0o755, content };
}

async function fingerprintOf(facts: readonly string[], sources: readonly string[]): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(facts));
  for (const source of sources) {
    try {
      const { size, mtimeMs } = await stat(source);
      hash.update(`${source} ${size} ${mtimeMs}\n`);
    } catch (error) {
      // An image that was made before stays good when its source goes; making one says what is missing.
      if (!isMissingFile(error)) throw error;
      hash.update(`${source} absent\n`);
    }
  }
  return hash.digest("hex").slice(0, 32);
}
