// Runs a daemon (`cloud …` or `edge …`): its bundle where that is of these sources as they are, and else the sources themselves.
import path from "node:path";
import { pathToFileURL } from "node:url";
import { freshBundle } from "../packages/cli/src/program/fresh-bundle.js";

const bundle = freshBundle(path.dirname(import.meta.dirname));
await import(bundle ? pathToFileURL(path.join(bundle, `${process.argv[2]}.js`)).href : "./skerry.ts");
