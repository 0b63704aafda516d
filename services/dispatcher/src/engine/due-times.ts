import type { EndpointLane } from './endpoint-lane.ts';

interface DueTime {
  readonly atMs: number;
  readonly endpointLane: EndpointLane;
}

/**
 * When rows of which endpoint and lane are due, earliest first: a binary heap. An entry counts only
 * while it agrees with its `nextDueAtMs`; the others are dropped when they come up.
 */
export class DueTimes {
  private readonly heap: DueTime[] = [];

  /** Notes that rows may be due at a time; the earliest one known counts. */
  note(endpointLane: EndpointLane, atMs: number): void {
    if (atMs >= endpointLane.nextDueAtMs) return;
    endpointLane.nextDueAtMs = atMs;
    this.heap.push({ atMs, endpointLane });
    this.rise(this.heap.length - 1);
  }

  /** The earliest time noted, wall clock; Infinity when there is none. */
  earliestMs(): number {
    while (this.heap[0] !== undefined && !counts(this.heap[0])) this.removeFirst();
    return this.heap[0]?.atMs ?? Infinity;
  }

  /** Takes what is due; nothing more is known of it until it is noted again. */
  takeDue(nowMs: number): EndpointLane[] {
    const due: EndpointLane[] = [];
    while (this.earliestMs() <= nowMs) {
      const endpointLane = this.removeFirst();
      if (endpointLane === undefined) break;
      endpointLane.nextDueAtMs = Infinity;
      due.push(endpointLane);
    }
    return due;
  }

  private removeFirst(): EndpointLane | undefined {
    const first = this.heap[0];
    const last = this.heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (this.heap.length > 0) {
      this.heap[0] = last;
      this.sink();
    }
    return first.endpointLane;
  }

  private rise(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  private sink(): void {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const child = this.at(right) < this.at(left) ? right : left;
      if (!this.swapIfEarlier(child, index)) return;
      index = child;
    }
  }

  private at(index: number): number {
    return this.heap[index]?.atMs ?? Infinity;
  }

  private swapIfEarlier(index: number, other: number): boolean {
    const first = this.heap[index];
    const second = this.heap[other];
    if (first === undefined || second === undefined || first.atMs >= second.atMs) return false;
    this.heap[index] = second;
    this.heap[other] = first;
    return true;
  }
}

function counts(due: DueTime): boolean {
  return due.endpointLane.nextDueAtMs === due.atMs;
}
