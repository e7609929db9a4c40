import { CHECKS, type CheckContext, type Problem } from "../checks/machine.ts";
import type { Call, Command } from "../command.ts";
import { findInstance } from "../instance/instance.ts";
import { layoutOfCall } from "../instance/layout.ts";
import { problemsOf } from "../checks/health.ts";

/** What the checks need to know for a call. */
export async function checkContext(call: Call): Promise<CheckContext> {
  const instance = await findInstance(call);
  return {
    layout: layoutOfCall(call),
    instance,
    roles: instance?.settings.roles ?? ["cloud", "edge"],
    apiPort: instance?.settings.apiPort ?? 6443,
    linkPort: instance?.settings.linkPort ?? 10_000,
    env: call.env,
    nowMs: Date.now(),
  };
}

export const check: Command = {
  name: "check",
  summary: "Look at this machine's preconditions and at the instance's health; for each problem say what mends it.",
  run: async (call) => {
    const context = await checkContext(call);
    const found: Problem[] = [];
    for (const each of CHECKS) {
      const problems = await each.run(context);
      const note = await each.note?.(context);
      console.log(`${problems.length === 0 ? "✓" : "✗"} ${each.name}${note === undefined ? "" : `: ${note}`}`);
      for (const problem of problems) console.log(`    ${problem.what}\n    → ${problem.mend}`);
      found.push(...problems);
    }
    if (context.instance) {
      const problems = await problemsOf(context.instance, call.signal);
      console.log(`${problems.length === 0 ? "✓" : "✗"} instance`);
      for (const problem of problems) console.log(`    ${problem.what}\n    → ${problem.mend}`);
      found.push(...problems);
    }
    return found.length === 0 ? 0 : 1;
  },
};
