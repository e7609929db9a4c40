/**
 * Lets one task at a time run for each id, in the order of their coming. Reads see only what is committed, so whoever changes an
 * object holds its lock from reading it until the change is committed; the next one then starts from the result.
 */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  async run<T>(id: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(id);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#tails.set(id, done);
    if (before) await before;
    try {
      return await task();
    } finally {
      if (this.#tails.get(id) === done) this.#tails.delete(id);
      resolve();
    }
  }
}
