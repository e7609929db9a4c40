import { spawn } from "node:child_process";
import { once } from "node:events";
import { UserError, type Command } from "../command.ts";
import { requireInstance } from "../instance/instance.ts";
import { pinnedKubectl } from "../setup/kubectl.ts";

export const kubectl: Command = {
  name: "kubectl",
  operands: "[--data-dir DIR] ARGS…",
  summary: "Run the pinned kubectl on this instance; every word goes to it.",
  raw: true,
  run: async (call) => {
    // The one option of ours stands first, so that the rest is kubectl's without exception.
    let words = [...call.operands];
    let dataDir = call.option("data-dir");
    const [first, second] = words;
    if (first === "--data-dir") {
      if (second === undefined) throw new UserError("--data-dir needs a folder", { exitCode: 2 });
      dataDir = second;
      words = words.slice(2);
    } else if (first?.startsWith("--data-dir=")) {
      dataDir = first.slice("--data-dir=".length);
      words = words.slice(1);
    }
    const { layout } = await requireInstance(
      { ...call, option: (name) => (name === "data-dir" ? dataDir : call.option(name)) },
      "cloud",
    );
    const child = spawn(await pinnedKubectl(layout, call.env, call.signal), words, {
      stdio: "inherit",
      env: { ...call.env, KUBECONFIG: layout.kubeconfig },
    });
    const [code, killedBy] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    if (killedBy) return 128 + (killedBy === "SIGINT" ? 2 : 15);
    return code ?? 1;
  },
};
