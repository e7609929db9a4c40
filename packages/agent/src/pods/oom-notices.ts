/** The most containers that are remembered; the one told of longest ago goes first, and its end then stays what the runtime has on record. */
const MAX_NOTICES = 512;

/**
 * The containers in which the kernel ended a process for want of memory, as far as the runtime told in this life of the agent. It tells
 * on a way of its own: before the container's end, after it, or of one that went on without that process.
 */
export class OomNotices {
  readonly #ids = new Set<string>();

  get ids(): ReadonlySet<string> {
    return this.#ids;
  }

  add(id: string): void {
    this.#ids.delete(id);
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > MAX_NOTICES && oldest !== undefined) this.#ids.delete(oldest);
  }
}
