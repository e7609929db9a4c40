import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { BUNDLES, freshBundle, hashOf, MANIFEST, stampOf } from "./fresh-bundle.js";

/** A repository of one source and its bundle. */
async function repository(): Promise<AsyncDisposable & { root: string; source: string }> {
  const root = await mkdtemp(path.join(tmpdir(), "skerry-bundle-"));
  const source = path.join(root, "source.ts");
  await writeFile(source, "one");
  const bundles = path.join(root, BUNDLES);
  await mkdir(path.join(bundles, "made"), { recursive: true });
  const sources = { "source.ts": { stamp: stampOf(source), hash: hashOf(Buffer.from("one")) } };
  await writeFile(path.join(bundles, MANIFEST), JSON.stringify({ root, dir: "made", sources }));
  return { root, source, [Symbol.asyncDispose]: () => rm(root, { recursive: true }) };
}

describe("freshBundle()", () => {
  it("finds the bundle of sources that are as they were", async () => {
    await using repo = await repository();
    assert.equal(freshBundle(repo.root), path.join(repo.root, BUNDLES, "made"));
  });

  it("refuses one when a source has the same size and time, and other contents", async () => {
    await using repo = await repository();
    await utimes(repo.source, 1, 1);
    const manifest = {
      root: repo.root,
      dir: "made",
      sources: { "source.ts": { stamp: stampOf(repo.source), hash: hashOf(Buffer.from("one")) } },
    };
    await writeFile(path.join(repo.root, BUNDLES, MANIFEST), JSON.stringify(manifest));
    assert.ok(freshBundle(repo.root));
    await rm(repo.source);
    await writeFile(repo.source, "two");
    await utimes(repo.source, 1, 1);
    assert.equal(freshBundle(repo.root), undefined);
  });

  it("keeps it in a copy of the tree in its place, whose files have other times", async () => {
    await using repo = await repository();
    const copy = `${repo.root}-copy`;
    try {
      await cp(repo.root, copy, { recursive: true });
      assert.equal(freshBundle(copy), undefined, "modules in the bundle know where their sources are");
      await rm(repo.root, { recursive: true });
      await rename(copy, repo.root);
      assert.ok(freshBundle(repo.root));
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });

  it("finds none when a source or the bundle is gone, or its manifest is no JSON", async () => {
    await using gone = await repository();
    await rm(gone.source);
    assert.equal(freshBundle(gone.root), undefined);
    await using empty = await repository();
    await rm(path.join(empty.root, BUNDLES, "made"), { recursive: true });
    assert.equal(freshBundle(empty.root), undefined);
    await using torn = await repository();
    await writeFile(path.join(torn.root, BUNDLES, MANIFEST), "{");
    assert.equal(freshBundle(torn.root), undefined);
  });
});
