import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { it } from "node:test";
import { parseCall } from "../command.ts";
import { imageImport } from "./image.ts";

it("image import refuses a folder and a missing file by their names, before it looks for an instance", async () => {
  const imports = (file: string): Promise<number | void> =>
    imageImport.run(parseCall(imageImport, [file], {}, new AbortController().signal));
  await assert.rejects(imports(tmpdir()), {
    name: "UserError",
    message: `${tmpdir()} is a folder; name an archive in it, as docker save writes one`,
  });
  await assert.rejects(imports("/nowhere/a.tar"), { name: "UserError", message: "Cannot read /nowhere/a.tar" });
});
