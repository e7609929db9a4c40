import { sendText } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { sendNotFound } from "./not-found.ts";

/** One thing that must be right. */
export interface HealthCheck {
  readonly name: string;
  /** Which questions it is asked for: whether the server lives, whether it can serve, or both. */
  readonly of: readonly ("livez" | "readyz")[];
  /** Throws, or rejects, with what is wrong. */
  check(): void | Promise<void>;
}

/**
 * Answers `/livez`, `/readyz` and `/healthz`, each with `/{check}`, `?verbose` and `?exclude=`: 200 and `ok`, or 500 and which check failed.
 * What is wrong with it stays in the server: the paths are open to everybody.
 */
export async function answerHealth(
  exchange: Exchange,
  checks: readonly HealthCheck[],
  [question = "", one]: readonly string[],
): Promise<void> {
  const asked = question === "readyz" ? "readyz" : "livez";
  const own = checks.filter(({ of }) => of.includes(asked));
  const excluded = new Set(exchange.query.getAll("exclude"));
  const chosen = one === undefined ? own.filter(({ name }) => !excluded.has(name)) : own.filter((c) => c.name === one);
  if (one !== undefined && chosen.length === 0) return sendNotFound(exchange);
  const results = await Promise.all(chosen.map(async (check) => ({ name: check.name, ok: await passes(check) })));
  const isWell = results.every(({ ok }) => ok);
  const lines = results.map(({ name, ok }) => (ok ? `[+]${name} ok` : `[-]${name} failed: reason withheld`));
  for (const name of excluded) lines.push(`[+]${name} excluded: ok`);
  let text = "ok";
  if (!isWell) text = [...lines, `${question} check failed`, ""].join("\n");
  else if (exchange.query.has("verbose")) text = [...lines, `${question} check passed`, ""].join("\n");
  await sendText(exchange, isWell ? 200 : 500, "text/plain; charset=utf-8", text);
}

async function passes(check: HealthCheck): Promise<boolean> {
  try {
    await check.check();
    return true;
  } catch {
    return false;
  }
}
