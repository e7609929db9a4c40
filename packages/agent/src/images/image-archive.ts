import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { canonicalImageName } from "./image-name.ts";
import { blobPath, MEDIA_TYPE, NAME_ANNOTATIONS, type Descriptor } from "./oci-image.ts";
import { indexTar, type TarFile } from "./tar-index.ts";

/** One blob to be stored, and where its bytes are. */
export interface ArchiveBlob {
  descriptor: Descriptor;
  source: TarFile | Uint8Array;
  /** What it refers to, by the names under which containerd's garbage collector follows references. */
  references: ReadonlyMap<string, string>;
}

export interface ArchiveImage {
  name: string;
  target: Descriptor;
}

export interface ImageArchive {
  images: ArchiveImage[];
  /** What is referred to comes before what refers to it. */
  blobs: ArchiveBlob[];
}

/** The archive holds no image that can be imported; the message says why. */
export class ImageArchiveError extends Error {
  override name = "ImageArchiveError";
}

/** Manifests and configurations are small; one that is not was made to be harmful. */
const MAX_JSON_BYTES = 8 * 1024 * 1024;
const MAX_DEPTH = 4;

interface Platform {
  os?: string;
  architecture?: string;
}

interface Manifest {
  mediaType?: string;
  config?: Descriptor;
  layers?: Descriptor[];
  manifests?: Descriptor[];
}

/**
 * Reads what a tar archive holds, as an OCI image layout (image-spec, "image-layout.md") or as `docker save` writes it.
 * Content is not read but for the JSON of manifests, and to name the layers of old Docker archives.
 */
export async function readImageArchive(archive: FileHandle, architecture: string): Promise<ImageArchive> {
  const files = await indexTar(archive);
  if (files.has("index.json") && files.has("oci-layout"))
    return await new LayoutReader(archive, files, architecture).read();
  if (files.has("manifest.json")) return await readDockerArchive(archive, files, architecture);
  throw new ImageArchiveError(
    "It is neither an OCI image layout (no index.json) nor a Docker archive (no manifest.json)",
  );
}

class LayoutReader {
  readonly #archive: FileHandle;
  readonly #files: ReadonlyMap<string, TarFile>;
  readonly #architecture: string;
  readonly #blobs = new Map<string, ArchiveBlob>();

  constructor(archive: FileHandle, files: ReadonlyMap<string, TarFile>, architecture: string) {
    this.#archive = archive;
    this.#files = files;
    this.#architecture = architecture;
  }

  async read(): Promise<ImageArchive> {
    const index = (await readJson(this.#archive, need(this.#files, "index.json"), "index.json")) as Manifest;
    const images: ArchiveImage[] = [];
    for (const { mediaType, digest, size, annotations } of index.manifests ?? []) {
      const name = NAME_ANNOTATIONS.map((key) => annotations?.[key]).find((value) => value !== undefined);
      if (name === undefined) continue;
      const target = { mediaType, digest, size };
      if (!(await this.#add(target, 0)))
        throw new ImageArchiveError(`The image "${name}" has no variant for linux/${this.#architecture}`);
      images.push({ name: canonicalImageName(name), target });
    }
    if (images.length === 0) throw new ImageArchiveError("None of its images has a name");
    return { images, blobs: [...this.#blobs.values()] };
  }

  /** Adds a blob and what it refers to; false when it is of no use on this machine, or not in the archive. */
  async #add(descriptor: Descriptor, depth: number): Promise<boolean> {
    const { digest, mediaType, platform } = descriptor;
    if (this.#blobs.has(digest)) return true;
    const source = this.#files.get(blobPath(digest));
    if (!source || !this.#isUsable(platform)) return false;
    if (source.size !== descriptor.size)
      throw new ImageArchiveError(`The blob ${digest} has ${source.size} bytes, not ${descriptor.size}`);
    const references = new Map<string, string>();
    if (/manifest|index/.test(mediaType)) {
      if (depth >= MAX_DEPTH) throw new ImageArchiveError("Its indexes are nested too deeply");
      const { config, layers = [], manifests = [] } = (await readJson(this.#archive, source, digest)) as Manifest;
      const configFile = config && this.#files.get(blobPath(config.digest));
      if (configFile && !(await this.#runsHere(configFile))) return false;
      for (const [name, child] of childrenOf(config, layers)) {
        if (!(await this.#add(child, depth + 1))) throw new ImageArchiveError(`It lacks the blob ${child.digest}`);
        references.set(name, child.digest);
      }
      for (const [n, child] of manifests.entries())
        if (await this.#add(child, depth + 1)) references.set(`m.${n}`, child.digest);
      if (references.size === 0) return false;
    }
    this.#blobs.set(digest, { descriptor, source, references });
    return true;
  }

  /** A manifest that no index chose says only in its configuration what it is for. */
  async #runsHere(config: TarFile): Promise<boolean> {
    const { os, architecture } = (await readJson(this.#archive, config, "image configuration")) as Platform;
    return (os ?? "linux") === "linux" && (architecture ?? this.#architecture) === this.#architecture;
  }

  #isUsable(platform: Descriptor["platform"]): boolean {
    return !platform || (platform.os === "linux" && platform.architecture === this.#architecture);
  }
}

interface DockerManifest {
  Config: string;
  RepoTags: string[] | null;
  Layers: string[];
}

/** Docker archives have no manifest: one is made of what they list. */
async function readDockerArchive(
  archive: FileHandle,
  files: ReadonlyMap<string, TarFile>,
  architecture: string,
): Promise<ImageArchive> {
  const list = (await readJson(archive, need(files, "manifest.json"), "manifest.json")) as DockerManifest[];
  const images: ArchiveImage[] = [];
  const blobs = new Map<string, ArchiveBlob>();
  const add = async (path: string, mediaTypeOf: (start: Buffer) => string): Promise<Descriptor> => {
    const source = need(files, path);
    const { digest, start } = await digestOf(archive, source);
    const descriptor = { mediaType: mediaTypeOf(start), digest, size: source.size };
    blobs.set(digest, { descriptor, source, references: new Map() });
    return descriptor;
  };
  for (const { Config, RepoTags, Layers } of list) {
    if (!RepoTags || RepoTags.length === 0) continue;
    const config = await add(Config, () => MEDIA_TYPE.config);
    const layers: Descriptor[] = [];
    for (const layer of Layers) layers.push(await add(layer, layerType));
    await checkDockerConfig(archive, need(files, Config), layers, architecture);
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers }));
    const digest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
    const target = { mediaType: MEDIA_TYPE.manifest, digest, size: manifest.length };
    const references = new Map(childrenOf(config, layers).map(([name, child]) => [name, child.digest]));
    blobs.set(digest, { descriptor: target, source: manifest, references });
    for (const tag of RepoTags) images.push({ name: canonicalImageName(tag), target });
  }
  if (images.length === 0) throw new ImageArchiveError("None of its images has a name");
  return { images, blobs: [...blobs.values()] };
}

/** Layers that are not compressed are known to the configuration by their digests. */
async function checkDockerConfig(
  archive: FileHandle,
  file: TarFile,
  layers: readonly Descriptor[],
  architecture: string,
): Promise<void> {
  const config = (await readJson(archive, file, "image configuration")) as Platform & {
    rootfs?: { diff_ids?: string[] };
  };
  if (config.architecture !== undefined && config.architecture !== architecture)
    throw new ImageArchiveError(`Its image is for linux/${config.architecture}, and this is linux/${architecture}`);
  const expected = config.rootfs?.diff_ids ?? [];
  if (expected.length !== layers.length)
    throw new ImageArchiveError(`It has ${layers.length} layers where its configuration names ${expected.length}`);
  for (const [n, { mediaType, digest }] of layers.entries())
    if (mediaType === MEDIA_TYPE.layer && digest !== expected[n])
      throw new ImageArchiveError(`Layer ${n} is ${digest}, not ${expected[n]} as its configuration says`);
}

const childrenOf = (config: Descriptor | undefined, layers: readonly Descriptor[]): [string, Descriptor][] => [
  ...(config ? [["config", config] as [string, Descriptor]] : []),
  ...layers.map((layer, n): [string, Descriptor] => [`l.${n}`, layer]),
];

function layerType(start: Buffer): string {
  if (start[0] === 0x1f && start[1] === 0x8b) return `${MEDIA_TYPE.layer}+gzip`;
  if (start.length >= 4 && start.readUInt32BE(0) === 0x28b52ffd) return `${MEDIA_TYPE.layer}+zstd`;
  return MEDIA_TYPE.layer;
}

async function digestOf(archive: FileHandle, { offset, size }: TarFile): Promise<{ digest: string; start: Buffer }> {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(256 * 1024);
  let start = Buffer.alloc(0);
  for (let at = 0; at < size;) {
    const { bytesRead } = await archive.read(chunk, 0, Math.min(chunk.length, size - at), offset + at);
    if (bytesRead === 0) throw new ImageArchiveError("It is cut off");
    if (at === 0) start = Buffer.from(chunk.subarray(0, Math.min(16, bytesRead)));
    hash.update(chunk.subarray(0, bytesRead));
    at += bytesRead;
  }
  return { digest: `sha256:${hash.digest("hex")}`, start };
}

function need(files: ReadonlyMap<string, TarFile>, path: string): TarFile {
  const file = files.get(path);
  if (!file) throw new ImageArchiveError(`It lacks the file ${path}`);
  return file;
}

async function readJson(archive: FileHandle, { offset, size }: TarFile, what: string): Promise<unknown> {
  if (size > MAX_JSON_BYTES) throw new ImageArchiveError(`Its ${what} has ${size} bytes`);
  const bytes = Buffer.alloc(size);
  await archive.read(bytes, 0, size, offset);
  try {
    return JSON.parse(bytes.toString("utf8")) as unknown;
  } catch (error) {
    throw new ImageArchiveError(`Its ${what} is not JSON`, { cause: error });
  }
}
