import { parentPort } from "node:worker_threads";
import { readYamlText } from "./yaml-text.ts";

/** The thread that reads long YAML texts, one after the other, and answers each with a `YamlAnswer`. */
parentPort?.on("message", (text: string) => void readYamlText(text).then((answer) => parentPort?.postMessage(answer)));
