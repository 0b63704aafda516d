import type { EndpointLane } from './endpoint-lane.ts';

/**
 * When rows of which endpoint and lane are due, earliest first: a binary heap in which each of them
 * stands once at most, so that it does not grow with how often something is noted.
 */
export class DueTimes {
  private readonly heap: EndpointLane[] = [];
  private readonly places = new Map<EndpointLane, number>();

  get size(): number {
    return this.heap.length;
  }

  /** Notes that rows may be due at a time; the earliest one known counts. */
  note(endpointLane: EndpointLane, atMs: number): void {
    if (atMs >= endpointLane.nextDueAtMs) return;
    endpointLane.nextDueAtMs = atMs;
    const place = this.places.get(endpointLane) ?? this.heap.length;
    this.put(endpointLane, place);
    this.rise(place);
  }

  /** The earliest time noted, wall clock; Infinity when there is none. */
  earliestMs(): number {
    return this.at(0);
  }

  /** Takes what is due; nothing more is known of it until it is noted again. */
  takeDue(nowMs: number): EndpointLane[] {
    const due: EndpointLane[] = [];
    for (let first = this.heap[0]; first !== undefined; first = this.heap[0]) {
      if (first.nextDueAtMs > nowMs) break;
      this.forget(first);
      due.push(first);
    }
    return due;
  }

  /** Knows nothing of it any more. */
  forget(endpointLane: EndpointLane): void {
    const place = this.places.get(endpointLane);
    if (place === undefined) return;
    const last = this.heap.pop();
    if (last === undefined) return;
    this.places.delete(endpointLane);
    endpointLane.nextDueAtMs = Infinity;
    if (last === endpointLane) return;
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
    return this.heap[place]?.nextDueAtMs ?? Infinity;
  }

  private swapIfEarlier(place: number, other: number): boolean {
    const first = this.heap[place];
    const second = this.heap[other];
    if (first === undefined || second === undefined) return false;
    if (first.nextDueAtMs >= second.nextDueAtMs) return false;
    this.put(first, other);
    this.put(second, place);
    return true;
  }

  private put(endpointLane: EndpointLane, place: number): void {
    this.heap[place] = endpointLane;
    this.places.set(endpointLane, place);
  }
}
