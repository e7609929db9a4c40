import { UserError, type Call } from "../command.ts";
import { commandLine } from "./command-line.ts";
import { layoutOfCall, type Layout } from "./layout.ts";
import { readSettings, requireRole, type Settings } from "./settings.ts";

/** One instance: where its files are, and what was decided for it. */
export interface Instance {
  readonly layout: Layout;
  readonly settings: Settings;
}

/** The instance in the call's data folder, if there is one. */
export async function findInstance(call: Call): Promise<Instance | undefined> {
  const layout = layoutOfCall(call);
  const settings = await readSettings(layout);
  return settings && { layout, settings };
}

/** The instance in the call's data folder; a clear refusal when there is none, or it does not have the role. */
export async function requireInstance(call: Call, role?: "cloud" | "edge"): Promise<Instance> {
  const instance = await findInstance(call);
  if (!instance) {
    const layout = layoutOfCall(call);
    throw new UserError(
      `There is no instance in ${layout.dataDir}; make one with ${commandLine(layout, "up")}, or name another with --data-dir`,
    );
  }
  if (role) requireRole(instance.layout, instance.settings, role);
  return instance;
}
