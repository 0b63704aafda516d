import { Turns } from './turns.ts';

interface Place {
  next: number;
  /** The next offset that the partition will give, as it was seen last. */
  high: number;
  isWanted: boolean;
}

/** Where each partition of a topic is read, and which of them are to bring something now. */
export class Places {
  readonly #places = new Map<number, Place>();
  readonly #turns = new Turns();

  readFrom(partition: number, offset: number, behind: number): void {
    this.#places.set(partition, { next: offset, high: offset + behind, isWanted: true });
    this.#turns.waiting(partition, behind);
  }

  hold(partition: number): void {
    const place = this.#places.get(partition);
    if (place !== undefined) place.isWanted = false;
    this.#turns.leave(partition);
  }

  resume(partition: number): void {
    const place = this.#places.get(partition);
    if (place === undefined) return;
    place.isWanted = true;
    this.#turns.waiting(partition, place.high - place.next);
  }

  /** Everything up to `next` was taken. */
  taken(partition: number, next: number, high: number): void {
    const place = this.#places.get(partition);
    if (place === undefined) return;
    place.next = next;
    place.high = high;
    this.#turns.waiting(partition, high - next);
  }

  next(partition: number): number | undefined {
    return this.#places.get(partition)?.next;
  }

  isOn(partition: number): boolean {
    return this.#places.get(partition)?.isWanted === true && this.#turns.isOn(partition);
  }

  /** The partitions that are to bring something now, with their next offsets. */
  current(): [partition: number, next: number][] {
    return [...this.#places]
      .filter(([partition]) => this.isOn(partition))
      .map(([partition, { next }]) => [partition, next]);
  }

  tick(nowMs: number): void {
    this.#turns.tick(nowMs);
  }
}
