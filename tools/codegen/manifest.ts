import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Which generator made which outputs. It stands beside them as `manifest.json`, so that a test sees when they part. */
export interface Manifest {
  /** How to make the outputs again, from the root of the repository. */
  command: string;
  /** What was read, and which version of it. */
  inputs: Record<string, string>;
  /** SHA-256 of each source of the generator, by its path in the repository. */
  generators: Record<string, string>;
  /** SHA-256 of each output, by its name. */
  outputs: Record<string, string>;
}

const hash = (content: string | Buffer): string => createHash("sha256").update(content).digest("hex");

export const readManifest = (folder: string): Manifest =>
  JSON.parse(readFileSync(path.join(folder, "manifest.json"), "utf8")) as Manifest;

export interface OutputOptions {
  root: string;
  /** Where outputs go: the repository, or a copy of its folders elsewhere. */
  target: string;
  /** The folder of the outputs in it. */
  folder: string;
  command: string;
  inputs: Record<string, string>;
  generators: readonly string[];
  outputs: Record<string, string>;
}

/** Writes the outputs and the manifest that belongs to them. */
export function writeOutputs({ root, target, folder, command, inputs, generators, outputs }: OutputOptions): void {
  const output = path.join(target, folder);
  mkdirSync(output, { recursive: true });
  for (const [name, content] of Object.entries(outputs)) writeFileSync(path.join(output, name), content);
  const manifest: Manifest = {
    command,
    inputs,
    generators: Object.fromEntries(generators.map((file) => [file, hash(readFileSync(path.join(root, file)))])),
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, content]) => [name, hash(content)])),
  };
  writeFileSync(path.join(output, "manifest.json"), formatJson(manifest));
}

/** Lists what in `folder` no longer is what its generator made, or was made by another one. Empty when all is well. */
export function staleness(root: string, folder: string): string[] {
  const manifest = readManifest(path.join(root, folder));
  const changed = (file: string, wanted: string): boolean => hash(readFileSync(path.join(root, file))) !== wanted;
  return [
    ...Object.entries(manifest.generators)
      .filter(([file, wanted]) => changed(file, wanted))
      .map(([file]) => `${file} changed since it made ${folder}`),
    ...Object.entries(manifest.outputs)
      .filter(([name, wanted]) => changed(path.join(folder, name), wanted))
      .map(([name]) => `${folder}/${name} is not what its generator made`),
  ];
}

export const formatJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
