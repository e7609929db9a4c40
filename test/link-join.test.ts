import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createCsr, createKey, silentLogger, type Logger } from "@skerry/base";
import { FakeClock } from "@skerry/base/testing";
import { createToken } from "@skerry/hub";
import { Join } from "../packages/hub/src/join/join.ts";
import { RefusedError } from "../packages/hub/src/refused-error.ts";
import { TestApi, never, newAuthority } from "./link-world.ts";

const csr = createCsr(createKey()).toString("base64");

/** The hub's part that lets machines in, over the real API, and what it warned of. */
class Gate implements AsyncDisposable {
  readonly #api = new TestApi();
  readonly #authority = newAuthority();
  readonly clock = new FakeClock();
  readonly warnings: string[] = [];
  #join: Join | undefined;

  async start(): Promise<this> {
    await this.#api.start();
    const log: Logger = { ...silentLogger, warn: (_, message) => void this.warnings.push(message) };
    this.#join = new Join({ client: this.#api.client, authority: this.#authority, clock: this.clock, log });
    return this;
  }

  /** `ID.SECRET`, as a joining machine shows it. */
  async token(): Promise<string> {
    const { certificate } = this.#authority;
    const token = await createToken(this.#api.client, { authority: certificate, clock: this.clock });
    return token.split(".").slice(1, 3).join(".");
  }

  /** The HTTP status that a machine is answered with. */
  async ask(token: string, node: string, address: string): Promise<number> {
    try {
      await this.#join?.join({ token, node, csr }, address, never);
      return 200;
    } catch (error) {
      if (error instanceof RefusedError) return error.status;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#api[Symbol.asyncDispose]();
  }
}

const tally = (statuses: number[], status: number): number => statuses.filter((one) => one === status).length;
const GUESS = `${"a".repeat(10)}.${"A".repeat(43)}`;

describe("Join", () => {
  it("puts off all but ten of a thousand guesses that are shown at once", async () => {
    await using gate = await new Gate().start();
    const asked = Array.from({ length: 1000 }, (_, i) => gate.ask(GUESS, `n${i}`, "192.0.2.1"));
    const statuses = await Promise.all(asked);
    assert.equal(tally(statuses, 401), 10);
    assert.equal(tally(statuses, 429), 990);
    gate.clock.advance(5000);
    assert.equal(await gate.ask(GUESS, "n", "192.0.2.1"), 401);
    assert.equal(await gate.ask(GUESS, "n", "192.0.2.1"), 429);
  });

  it("lets a fleet in at once though somebody guesses behind the same address, and others everywhere", async () => {
    await using gate = await new Gate().start();
    const token = await gate.token();
    const everywhere = Array.from({ length: 1000 }, (_, i) => gate.ask(GUESS, "x", `10.0.${i >> 8}.${i & 255}`));
    const nearby = Array.from({ length: 100 }, () => gate.ask(GUESS, "x", "192.0.2.1"));
    const fleet = Array.from({ length: 200 }, (_, i) => gate.ask(token, `n${i}`, "192.0.2.1"));
    await Promise.all([...everywhere, ...nearby]);
    assert.equal(tally(await Promise.all(fleet), 200), 200);
    assert.equal(await gate.ask(token, "late", "192.0.2.1"), 200);
  });

  it("counts a machine with many IPv6 addresses as one", async () => {
    await using gate = await new Gate().start();
    const asked = Array.from({ length: 100 }, (_, i) => gate.ask(GUESS, "n", `2001:db8:1:2::${i.toString(16)}`));
    assert.equal(tally(await Promise.all(asked), 401), 10);
    assert.equal(await gate.ask(GUESS, "n", "2001:db8:1:3::1"), 401);
  });

  it("warns of a bounded number of failures, from however many addresses they come", async () => {
    await using gate = await new Gate().start();
    const guess = (i: number): Promise<number> => gate.ask(GUESS, "n", `10.0.${i >> 8}.${i & 255}`);
    const statuses = await Promise.all(Array.from({ length: 1000 }, (_, i) => guess(i)));
    assert.equal(tally(statuses, 401), 1000);
    assert.equal(gate.warnings.length, 100);
    gate.clock.advance(2000);
    for (let i = 0; i < 5; i++) await guess(1000 + i);
    assert.equal(gate.warnings.length, 102);
  });
});
