import type { Command } from "../command.ts";
import { requireInstance } from "../instance/instance.ts";

export const kubeconfig: Command = {
  name: "kubeconfig",
  summary: "Print the path of this instance's kubeconfig, and nothing else.",
  run: async (call) => {
    const { layout } = await requireInstance(call, "cloud");
    console.log(layout.kubeconfig);
  },
};
