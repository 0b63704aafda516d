/**
 * When what is to be looked at again, earliest first: a binary heap in which each item stands once at
 * most, so that it does not grow with how often something is noted. Times are of the caller's clock.
 */
export class Deadlines<Item extends object> {
  private readonly heap: Deadline<Item>[] = [];
  private readonly places = new Map<Item, number>();

  get size(): number {
    return this.heap.length;
  }

  has(item: Item): boolean {
    return this.places.has(item);
  }

  /** Notes a time for an item; the earliest one known counts. */
  note(item: Item, atMs: number): void {
    const place = this.places.get(item);
    if (place === undefined) {
      this.put({ item, atMs }, this.heap.length);
      this.rise(this.heap.length - 1);
      return;
    }
    const known = this.heap[place];
    if (known === undefined || atMs >= known.atMs) return;
    known.atMs = atMs;
    this.rise(place);
  }

  /** The earliest time noted; Infinity when there is none. */
  earliestMs(): number {
    return this.at(0);
  }

  /** Takes what is due; nothing more is known of it until it is noted again. */
  takeDue(nowMs: number): Item[] {
    const due: Item[] = [];
    for (let first = this.heap[0]; first !== undefined; first = this.heap[0]) {
      if (first.atMs > nowMs) break;
      this.forget(first.item);
      due.push(first.item);
    }
    return due;
  }

  /** Knows nothing of it any more. */
  forget(item: Item): void {
    const place = this.places.get(item);
    if (place === undefined) return;
    const last = this.heap.pop();
    if (last === undefined) return;
    this.places.delete(item);
    if (last.item === item) return;
    this.put(last, place);
    this.rise(place);
    this.sink(place);
  }

  private rise(from: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.swapIfEarlier(place, parent)) return;
      place = parent;
    }
  }

  private sink(from: number): void {
    let place = from;
    for (;;) {
      const left = 2 * place + 1;
      const right = left + 1;
      const child = this.at(right) < this.at(left) ? right : left;
      if (!this.swapIfEarlier(child, place)) return;
      place = child;
    }
  }

  private at(place: number): number {
    return this.heap[place]?.atMs ?? Infinity;
  }

  private swapIfEarlier(place: number, other: number): boolean {
    const first = this.heap[place];
    const second = this.heap[other];
    if (first === undefined || second === undefined) return false;
    if (first.atMs >= second.atMs) return false;
    this.put(first, other);
    this.put(second, place);
    return true;
  }

  private put(deadline: Deadline<Item>, place: number): void {
    this.heap[place] = deadline;
    this.places.set(deadline.item, place);
  }
}

interface Deadline<Item> {
  readonly item: Item;
  atMs: number;
}
