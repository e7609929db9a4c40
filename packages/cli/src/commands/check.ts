import { CHECKS, type CheckContext, type Problem } from "../checks/machine.ts";
import type { Command } from "../command.ts";
import { readConfig, saidBy, type Config } from "../instance/config-file.ts";
import { findInstance } from "../instance/instance.ts";
import { layoutOfCall } from "../instance/layout.ts";
import { portOption } from "../instance/request.ts";
import { USUAL_PORTS } from "../instance/settings.ts";
import { problemsOf } from "../checks/health.ts";

export const check: Command = {
  name: "check",
  summary: "Look at this machine's preconditions and at the instance's health; for each problem say what mends it.",
  run: async (call) => {
    const layout = layoutOfCall(call);
    const instance = await findInstance(call);
    const config = await readConfig(layout, instance?.settings);
    const context: CheckContext = {
      layout,
      instance,
      roles: instance?.settings.roles ?? ["cloud", "edge"],
      // One that is made keeps its ports until the next up.
      ...(instance?.settings ?? portsOf(config)),
      env: call.env,
      nowMs: Date.now(),
    };
    const found: Problem[] = [];
    const say = (name: string, problems: readonly Problem[], note?: string): void => {
      console.log(`${problems.length === 0 ? "✓" : "✗"} ${name}${note === undefined ? "" : `: ${note}`}`);
      for (const problem of problems) console.log(`    ${problem.what}\n    → ${problem.mend}`);
      found.push(...problems);
    };
    for (const each of CHECKS) say(each.name, await each.run(context), await each.note?.(context));
    if (instance) {
      // A full disk is both the machine's and the instance's.
      const isNew = ({ what }: Problem): boolean => !found.some((each) => each.what === what);
      say("instance", (await problemsOf(instance, call.signal)).filter(isNew));
    } else say("config file", problemsIn(config));
    return found.length === 0 ? 0 : 1;
  },
};

/** The ports that a cloud would take of a config file. */
function portsOf(config: Config): Pick<CheckContext, "apiPort" | "linkPort"> {
  const said = saidBy(config);
  return {
    apiPort: portOption(said, "api-port") ?? USUAL_PORTS.apiPort,
    linkPort: portOption(said, "link-port") ?? USUAL_PORTS.linkPort,
  };
}

/** What would keep an instance from being made; that of one which is made is part of its health. */
const problemsIn = ({ mistake }: Config): Problem[] =>
  mistake === undefined ? [] : [{ what: mistake, mend: "correct it; until then, up, join and cloud refuse it" }];
