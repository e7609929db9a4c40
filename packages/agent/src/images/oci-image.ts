import { createHash } from "node:crypto";
import { ustar, type TarEntry } from "./ustar.ts";

/** Points at a blob by its digest (OCI image spec, "Content Descriptors"). */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
  platform?: { os: string; architecture: string; variant?: string };
}

/** The `config` of an image's configuration (OCI image spec, "Image Configuration"). */
export interface ImageConfig {
  Entrypoint?: string[];
  Cmd?: string[];
  Env?: string[];
  User?: string;
  WorkingDir?: string;
  StopSignal?: string;
  ExposedPorts?: Record<string, Record<string, never>>;
  Labels?: Record<string, string>;
}

export interface ImageRecipe {
  /** The full reference: `skerry.local/hello:1`. */
  name: string;
  architecture: string;
  config: ImageConfig;
  /** The only layer. */
  files: readonly TarEntry[];
}

export const MEDIA_TYPE = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

/** Where archives keep an image's name: containerd's own annotation, and that of the OCI image layout. */
export const NAME_ANNOTATIONS = ["io.containerd.image.name", "org.opencontainers.image.ref.name"] as const;

/** An image as a tar archive of an OCI image layout, in pieces. The same recipe makes the same bytes. */
export function* imageArchive(recipe: ImageRecipe): Generator<Uint8Array> {
  const layer = [...ustar(recipe.files)];
  const layerDescriptor = describe(MEDIA_TYPE.layer, layer);
  const config = json({
    architecture: recipe.architecture,
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: recipe.config,
    rootfs: { type: "layers", diff_ids: [layerDescriptor.digest] },
    history: [{ created: "1970-01-01T00:00:00Z", created_by: "skerry" }],
  });
  const configDescriptor = describe(MEDIA_TYPE.config, [config]);
  const manifest = json({
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: configDescriptor,
    layers: [layerDescriptor],
  });
  const manifestDescriptor: Descriptor = {
    ...describe(MEDIA_TYPE.manifest, [manifest]),
    annotations: Object.fromEntries(NAME_ANNOTATIONS.map((key) => [key, recipe.name])),
  };
  const index = json({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [manifestDescriptor] });
  const file = (path: string, content: Uint8Array): TarEntry => ({ type: "file", path, mode: 0o644, content });
  yield* ustar([
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    file("index.json", index),
    file(blobPath(manifestDescriptor.digest), manifest),
    file(blobPath(configDescriptor.digest), config),
    file(blobPath(layerDescriptor.digest), Buffer.concat(layer)),
  ]);
}

/** Where an OCI image layout keeps a blob. */
export const blobPath = (digest: string): string => `blobs/${digest.replace(":", "/")}`;

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function describe(mediaType: string, pieces: readonly Uint8Array[]): Descriptor {
  const hash = createHash("sha256");
  let size = 0;
  for (const piece of pieces) {
    hash.update(piece);
    size += piece.byteLength;
  }
  return { mediaType, digest: `sha256:${hash.digest("hex")}`, size };
}
