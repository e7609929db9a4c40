import path from "node:path";
import { fileURLToPath } from "node:url";

const LAUNCHER = fileURLToPath(new URL("../../../../skerry", import.meta.url));

/** What a person in a folder types to run this program: `./skerry` where it lies, its whole path elsewhere; not quoted yet. */
export const programWord = (folder = process.cwd()): string =>
  folder === path.dirname(LAUNCHER) ? "./skerry" : LAUNCHER;
