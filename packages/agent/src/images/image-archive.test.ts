import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { runCommand } from "@skerry/base";
import { readImageArchive, type ImageArchive } from "./image-archive.ts";
import { imageArchive, type ImageRecipe } from "./oci-image.ts";
import { indexTar } from "./tar-index.ts";
import { ustar, type TarEntry } from "./ustar.ts";

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const file = (name: string, content: string | Uint8Array): TarEntry => ({
  type: "file",
  path: name,
  mode: 0o644,
  content: Buffer.from(content),
});

async function folder(): Promise<AsyncDisposable & { path: string }> {
  const dir = await mkdtemp(path.join(tmpdir(), "skerry-image-"));
  return { path: dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

async function read(pieces: Iterable<Uint8Array>, architecture = "amd64"): Promise<ImageArchive> {
  await using dir = await folder();
  const name = path.join(dir.path, "a.tar");
  await writeFile(name, pieces);
  await using archive = await open(name, "r");
  return await readImageArchive(archive, architecture);
}

const recipe: ImageRecipe = {
  name: "skerry.local/test:1",
  architecture: "amd64",
  config: { Entrypoint: ["/x"] },
  files: [file("x", "program")],
};

describe("imageArchive()", () => {
  it("makes the same bytes each time, and an archive that is read again", async () => {
    const bytes = Buffer.concat([...imageArchive(recipe)]);
    assert.equal(sha256(bytes), sha256(Buffer.concat([...imageArchive(recipe)])));
    const { images, blobs } = await read([bytes]);
    assert.deepEqual(
      images.map(({ name }) => name),
      ["skerry.local/test:1"],
    );
    assert.equal(blobs.at(-1)?.descriptor.digest, images[0]?.target.digest);
    assert.deepEqual([...(blobs.at(-1)?.references.keys() ?? [])], ["config", "l.0"]);
  });
});

describe("ustar()", () => {
  it("writes what tar reads, and refuses a path that does not fit", async () => {
    await using dir = await folder();
    const name = path.join(dir.path, "a.tar");
    const entries: TarEntry[] = [
      { type: "directory", path: "bin", mode: 0o755 },
      file("bin/busybox", "x".repeat(700)),
      { type: "symlink", path: "bin/sh", target: "busybox" },
      { type: "directory", path: "tmp", mode: 0o1777 },
    ];
    await writeFile(name, ustar(entries));
    const listing = await runCommand("tar", ["-tvf", name]);
    assert.match(listing, /^drwxr-xr-x 0\/0 +0 1970.* bin\/$/m);
    assert.match(listing, /^-rw-r--r-- 0\/0 +700 1970.* bin\/busybox$/m);
    assert.match(listing, /^lrwxrwxrwx 0\/0 +0 1970.* bin\/sh -> busybox$/m);
    assert.match(listing, /^drwxrwxrwt 0\/0 +0 1970.* tmp\/$/m);
    assert.throws(() => [...ustar([file("x".repeat(101), "")])], RangeError);
  });
});

describe("indexTar()", () => {
  for (const format of ["gnu", "pax", "ustar"]) {
    it(`finds the files of tar's ${format} form, long names and links included`, async () => {
      await using dir = await folder();
      const long = `${"d".repeat(90)}/${"f".repeat(60)}`;
      const source = path.join(dir.path, "s");
      await runCommand("mkdir", ["-p", path.join(source, path.dirname(long)), path.join(source, "l")]);
      await writeFile(path.join(source, long), "long");
      await writeFile(path.join(source, "a"), "content of a");
      await runCommand("ln", ["-s", "../a", path.join(source, "l/soft")]);
      await runCommand("ln", [path.join(source, "a"), path.join(source, "l/hard")]);
      const name = path.join(dir.path, "a.tar");
      await runCommand("tar", [`--format=${format}`, "-cf", name, "-C", source, "."]);
      await using archive = await open(name, "r");
      const found = await indexTar(archive);
      const contentOf = async (path: string): Promise<string> => {
        const { offset, size } = found.get(path) ?? assert.fail(`there is no ${path}`);
        return (await archive.read(Buffer.alloc(size), 0, size, offset)).buffer.toString();
      };
      assert.equal(await contentOf(long), "long");
      for (const path of ["a", "l/soft", "l/hard"]) assert.equal(await contentOf(path), "content of a");
    });
  }

  it("refuses what is cut off, and what is no archive", async () => {
    await using dir = await folder();
    const name = path.join(dir.path, "a.tar");
    await writeFile(name, Buffer.concat([...ustar([file("a", "x".repeat(2000))])]).subarray(0, 1024));
    await using cut = await open(name, "r");
    await assert.rejects(indexTar(cut), { name: "TarError", message: "The archive is cut off" });
    await writeFile(`${name}2`, "no archive".repeat(100));
    await using other = await open(`${name}2`, "r");
    await assert.rejects(indexTar(other), { name: "TarError" });
  });
});

describe("readImageArchive()", () => {
  const layer = Buffer.concat([...ustar([file("etc/x", "x")])]);
  const dockerArchive = (layerBytes: Uint8Array, diffId: string): Iterable<Uint8Array> =>
    ustar([
      file("config.json", JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { diff_ids: [diffId] } })),
      file("1/layer.tar", layerBytes),
      { type: "symlink", path: "2/layer.tar", target: "../1/layer.tar" },
      file(
        "manifest.json",
        JSON.stringify([{ Config: "config.json", RepoTags: ["app:1", "other/app"], Layers: ["2/layer.tar"] }]),
      ),
    ]);

  it("makes a manifest for a Docker archive, following its links and keeping compressed layers as they are", async () => {
    const plain = await read(dockerArchive(layer, sha256(layer)));
    assert.deepEqual(
      plain.images.map(({ name }) => name),
      ["docker.io/library/app:1", "docker.io/other/app:latest"],
    );
    assert.equal(plain.blobs[1]?.descriptor.mediaType, "application/vnd.oci.image.layer.v1.tar");
    const zipped = gzipSync(layer);
    const { blobs } = await read(dockerArchive(zipped, sha256(layer)));
    assert.equal(blobs[1]?.descriptor.mediaType, "application/vnd.oci.image.layer.v1.tar+gzip");
    assert.equal(blobs[1].descriptor.digest, sha256(zipped));
  });

  it("refuses a layer that is not what the configuration says", async () => {
    await assert.rejects(
      read(dockerArchive(layer, sha256(Buffer.from("other")))),
      /^ImageArchiveError: Layer 0 is sha256/,
    );
  });

  it("refuses an image for another processor, naming ours", async () => {
    const image = { mediaType: "application/vnd.oci.image.index.v1+json" };
    const inner = JSON.stringify({
      manifests: [{ digest: "sha256:1", platform: { os: "linux", architecture: "arm64" } }],
    });
    const descriptor = { ...image, digest: sha256(Buffer.from(inner)), size: inner.length };
    const annotations = { "org.opencontainers.image.ref.name": "app:1" };
    const archive = ustar([
      file("oci-layout", "{}"),
      file("index.json", JSON.stringify({ manifests: [{ ...descriptor, annotations }] })),
      file(`blobs/${descriptor.digest.replace(":", "/")}`, inner),
    ]);
    await assert.rejects(read(archive), /The image "app:1" has no variant for linux\/amd64/);
  });

  it("says what an archive of something else lacks", async () => {
    await assert.rejects(read(ustar([file("a", "b")])), /neither an OCI image layout .* nor a Docker archive/);
  });
});
