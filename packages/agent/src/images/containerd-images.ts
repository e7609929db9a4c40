import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rm, writeFile, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { systemClock, type Clock, type ProtobufCodec, type ProtobufInput } from "@skerry/base";
import type { Messages } from "../runtime/cri/gen/containerd.ts";
import type { GrpcCall, GrpcClient } from "../runtime/cri/grpc-client.ts";
import { GrpcError, isGrpcError } from "../runtime/cri/grpc-error.ts";
import { containerdCodec, CRI_NAMESPACE, criServices } from "../runtime/cri/services.ts";
import { runtimeError } from "../runtime/cri/translate-error.ts";
import { RuntimeError, type ImageStore } from "../runtime/runtime.ts";
import { imageArchitecture, type BuiltinImage } from "./builtin-images.ts";
import { ImageArchiveError, readImageArchive, type ArchiveBlob, type ArchiveImage } from "./image-archive.ts";
import { imageArchive } from "./oci-image.ts";
import { TarError, type TarFile } from "./tar-index.ts";

export interface ContainerdImagesOptions {
  client: GrpcClient;
  /** For archives on their way in; must have room for one. */
  workDir: string;
  /** The processor as Node names it (`process.arch`). */
  machine: string;
  clock?: Clock;
}

/** How much of a blob is in memory at a time. */
const CHUNK_BYTES = 512 * 1024;
const CALL_TIMEOUT_MS = 60_000;
/** What an import that was cut off leaves behind is collected after this. */
const LEASE_MS = 60 * 60_000;
/** How long CRI may take to notice an image that was put beside it. */
const NOTICE_MS = 15_000;
/** On an image of ours: what it was made from. */
const FINGERPRINT_LABEL = "skerry.io/fingerprint";
const SERVICE = {
  leases: "containerd.services.leases.v1.Leases",
  images: "containerd.services.images.v1.Images",
  content: "containerd.services.content.v1.Content",
} as const;

/** containerd's image store: takes archives over its content and image services, for CRI has no way to. */
export class ContainerdImages implements ImageStore {
  readonly #client: GrpcClient;
  readonly #codec: ProtobufCodec<Messages>;
  readonly #workDir: string;
  readonly #architecture: string;
  readonly #clock: Clock;

  constructor({ client, workDir, machine, clock = systemClock }: ContainerdImagesOptions) {
    this.#client = client;
    this.#codec = containerdCodec();
    this.#workDir = workDir;
    this.#architecture = imageArchitecture(machine);
    this.#clock = clock;
  }

  async importArchive(file: string, signal: AbortSignal): Promise<string[]> {
    try {
      await using plain = await this.#uncompressed(file, signal);
      await using archive = await open(plain.file, "r");
      return await this.#import(archive, {}, signal);
    } catch (error) {
      if (error instanceof ImageArchiveError || error instanceof TarError)
        throw new RuntimeError("Invalid", `Cannot import ${file}: ${error.message}`, { cause: error });
      throw runtimeError(error, "memory");
    }
  }

  /** Makes and imports those of the images that are not there as they should be; resolves with their names. */
  async ensure(images: readonly BuiltinImage[], signal: AbortSignal): Promise<string[]> {
    const made: string[] = [];
    try {
      for (const image of images) {
        if ((await this.#labelsOf(image.name, signal))?.[FINGERPRINT_LABEL] === image.fingerprint) continue;
        await using work = await this.#workFile();
        await writeFile(work.file, imageArchive(await image.recipe()));
        await using archive = await open(work.file, "r");
        made.push(...(await this.#import(archive, { [FINGERPRINT_LABEL]: image.fingerprint }, signal)));
      }
    } catch (error) {
      throw runtimeError(error, "memory");
    }
    return made;
  }

  async #import(archive: FileHandle, labels: Record<string, string>, signal: AbortSignal): Promise<string[]> {
    const { images, blobs } = await readImageArchive(archive, this.#architecture);
    // What is written belongs to the lease until an image refers to it: nothing is collected half-way.
    const lease = `skerry-import-${randomUUID()}`;
    const expire = new Date(this.#clock.now() + LEASE_MS).toISOString();
    await this.#call(
      "leases",
      "Create",
      "CreateRequest",
      { id: lease, labels: { "containerd.io/gc.expire": expire } },
      signal,
    );
    try {
      for (const blob of blobs) await this.#writeBlob(archive, blob, lease, signal);
      for (const image of images) await this.#putImage(image, labels, lease, signal);
    } finally {
      // Also when aborted: what is left is then collected now, not in an hour.
      const ending = AbortSignal.timeout(CALL_TIMEOUT_MS);
      await this.#call("leases", "Delete", "DeleteRequest", { id: lease }, ending).catch(() => {}); // it expires by itself
    }
    for (const image of images) await this.#noticed(image.name, signal);
    return images.map(({ name }) => name);
  }

  async #writeBlob(archive: FileHandle, blob: ArchiveBlob, lease: string, signal: AbortSignal): Promise<void> {
    const { descriptor, source } = blob;
    const ref = `skerry-${lease}-${descriptor.digest}`;
    const base = { ref, total: descriptor.size, expected: descriptor.digest };
    const labels = Object.fromEntries(
      [...blob.references].map(([name, digest]) => [`containerd.io/gc.ref.content.${name}`, digest]),
    );
    try {
      await using call = this.#client.open(`/${SERVICE.content}/Write`, { signal, metadata: metadata(lease) });
      const answers = call[Symbol.asyncIterator]();
      for await (const { data, offset } of chunksOf(archive, source)) {
        await this.#step(call, answers, { ...base, action: "WRITE", offset, data });
      }
      await this.#step(call, answers, { ...base, action: "COMMIT", offset: descriptor.size, labels });
      call.end();
    } catch (error) {
      if (!isGrpcError(error, "AlreadyExists")) throw error;
      // It is there, and the lease holds it now; whoever wrote it may not have said what it refers to.
      if (blob.references.size > 0) {
        const paths = Object.keys(labels).map((key) => `labels.${key}`);
        const request = { info: { digest: descriptor.digest, labels }, updateMask: { paths } };
        await this.#call("content", "Update", "UpdateRequest", request, signal, lease);
      }
    }
  }

  /** One message and its answer: containerd takes a blob in lock step, so no more than a chunk is under way. */
  async #step(
    call: GrpcCall,
    answers: AsyncGenerator<Uint8Array>,
    request: ProtobufInput<Messages["WriteContentRequest"]>,
  ): Promise<void> {
    await call.send(this.#codec.encode("WriteContentRequest", request));
    if ((await answers.next()).done) throw new GrpcError("Unavailable", "containerd ended the import of an image");
  }

  async #putImage(
    { name, target }: ArchiveImage,
    labels: Record<string, string>,
    lease: string,
    signal: AbortSignal,
  ): Promise<void> {
    const image = { name, labels, target };
    try {
      await this.#call("images", "Create", "CreateImageRequest", { image }, signal, lease);
    } catch (error) {
      if (!isGrpcError(error, "AlreadyExists")) throw error;
      await this.#call("images", "Update", "UpdateImageRequest", { image }, signal, lease);
    }
  }

  async #labelsOf(name: string, signal: AbortSignal): Promise<Record<string, string> | undefined> {
    try {
      const answer = await this.#call("images", "Get", "GetImageRequest", { name }, signal);
      return this.#codec.decode("GetImageResponse", answer).image?.labels;
    } catch (error) {
      if (isGrpcError(error, "NotFound")) return undefined;
      throw error;
    }
  }

  /** Waits until the CRI service, which hears of images by containerd's events, knows of it. */
  async #noticed(name: string, signal: AbortSignal): Promise<void> {
    const cri = criServices(this.#client);
    const deadline = this.#clock.monotonic() + NOTICE_MS;
    for (;;) {
      const { image } = await cri.call(
        "ImageStatus",
        { image: { image: name } },
        { signal, timeoutMs: CALL_TIMEOUT_MS },
      );
      if (image) return;
      if (this.#clock.monotonic() >= deadline)
        throw new RuntimeError("Unavailable", `containerd holds the image ${name}, but does not offer it to pods`);
      await this.#clock.sleep(20, signal);
    }
  }

  #call<M extends keyof Messages>(
    service: keyof typeof SERVICE,
    method: string,
    message: M,
    request: ProtobufInput<Messages[M]>,
    signal: AbortSignal,
    lease?: string,
  ): Promise<Uint8Array> {
    return this.#client.unary(`/${SERVICE[service]}/${method}`, this.#codec.encode(message, request), {
      signal,
      timeoutMs: CALL_TIMEOUT_MS,
      metadata: metadata(lease),
    });
  }

  /** The archive without gzip around it, as a file that can be read at any place. */
  async #uncompressed(file: string, signal: AbortSignal): Promise<WorkFile> {
    const start = Buffer.alloc(2);
    await using archive = await open(file, "r");
    await archive.read(start, 0, 2, 0);
    if (start.readUInt16BE(0) !== 0x1f8b) return { file, [Symbol.asyncDispose]: async () => {} };
    const work = await this.#workFile();
    try {
      await pipeline(createReadStream(file), createGunzip(), createWriteStream(work.file), { signal });
    } catch (error) {
      await work[Symbol.asyncDispose]();
      if ((error as NodeJS.ErrnoException).code?.startsWith("Z_"))
        throw new ImageArchiveError("It is compressed, and damaged", { cause: error });
      throw error;
    }
    return work;
  }

  async #workFile(): Promise<WorkFile> {
    await mkdir(this.#workDir, { recursive: true, mode: 0o700 });
    const file = path.join(this.#workDir, `${randomUUID()}.tar`);
    return { file, [Symbol.asyncDispose]: () => rm(file, { force: true }) };
  }
}

interface WorkFile extends AsyncDisposable {
  file: string;
}

const metadata = (lease: string | undefined): Record<string, string> => ({
  "containerd-namespace": CRI_NAMESPACE,
  ...(lease !== undefined && { "containerd-lease": lease }),
});

/** A blob's bytes piece by piece; each piece is valid until the next is asked for. */
async function* chunksOf(
  archive: FileHandle,
  source: TarFile | Uint8Array,
): AsyncGenerator<{ data: Uint8Array; offset: number }> {
  if (source instanceof Uint8Array) {
    yield { data: source, offset: 0 };
    return;
  }
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, source.size));
  for (let offset = 0; offset < source.size;) {
    const length = Math.min(chunk.length, source.size - offset);
    const { bytesRead } = await archive.read(chunk, 0, length, source.offset + offset);
    if (bytesRead === 0) throw new ImageArchiveError("It is cut off");
    yield { data: chunk.subarray(0, bytesRead), offset };
    offset += bytesRead;
  }
}
