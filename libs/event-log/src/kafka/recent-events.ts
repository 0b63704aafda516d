const CAPACITY = 4_096;

/**
 * What was read of a lane lately: the id at each of the last positions, and where Kafka keeps it. A
 * repeat is told from another event by it. It holds about a dozen batches of a relay.
 */
export class RecentEvents {
  readonly #positions: number[] = [];
  readonly #ids: string[] = [];
  readonly #offsets: number[] = [];

  remember(event: {
    readonly position: number;
    readonly id: string;
    readonly offset: number;
  }): void {
    const slot = event.position % CAPACITY;
    this.#positions[slot] = event.position;
    this.#ids[slot] = event.id;
    this.#offsets[slot] = event.offset;
  }

  idAt(position: number): string | undefined {
    const slot = position % CAPACITY;
    return this.#positions[slot] === position ? this.#ids[slot] : undefined;
  }

  offsetAt(position: number): number | undefined {
    const slot = position % CAPACITY;
    return this.#positions[slot] === position ? this.#offsets[slot] : undefined;
  }

  /** Forgets what comes after a position: it is read again. */
  forgetAfter(position: number): void {
    for (const [slot, each] of this.#positions.entries()) {
      if (each > position) this.#positions[slot] = 0;
    }
  }
}
