/** How many partitions with a backlog are fetched at once, each with a batch of its own. */
const AT_ONCE = 2;

/** What waits in a partition makes it take turns from so many records on. */
const BACKLOG_RECORDS = 500;

/** A partition that brought nothing in that time lets the next one go. */
const TURN_MS = 1_000;

interface Turn {
  readonly partition: number;
  sinceMs: number | undefined;
}

/**
 * Lets partitions with a backlog take turns. A response then stays small enough to be read without
 * keeping the process from anything else for long, and nobody is left out.
 */
export class Turns {
  #queue: Turn[] = [];

  /** So many records are known to wait in the partition. */
  waiting(partition: number, records: number): void {
    this.leave(partition);
    if (records > BACKLOG_RECORDS) this.#queue.push({ partition, sinceMs: undefined });
  }

  leave(partition: number): void {
    this.#queue = this.#queue.filter((turn) => turn.partition !== partition);
  }

  /** Whether it may be fetched. */
  isOn(partition: number): boolean {
    const index = this.#queue.findIndex((turn) => turn.partition === partition);
    return index < AT_ONCE;
  }

  /** Ends the turns that have lasted too long, and counts the others. */
  tick(nowMs: number): void {
    const current = this.#queue.slice(0, AT_ONCE);
    for (const turn of current) turn.sinceMs ??= nowMs;
    const over = current.filter(({ sinceMs }) => nowMs - (sinceMs ?? nowMs) >= TURN_MS);
    if (over.length === 0) return;
    this.#queue = this.#queue.filter((turn) => !over.includes(turn));
    this.#queue.push(...over.map(({ partition }) => ({ partition, sinceMs: undefined })));
  }
}
