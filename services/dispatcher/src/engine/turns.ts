import { Fifo } from './fifo.ts';

/** Somebody who takes turns. */
export interface TurnTaker {
  /** What it may still use in this turn; below zero, it has used more than its turn. */
  credit: number;
  /** True while it stands in the ring. */
  inRing: boolean;
}

/**
 * Deficit round robin (Shreedhar and Varghese, 1995), in the variant of RFC 8290, in which whoever
 * has credit left may use more than that and pays it back in later turns. Over time everybody who
 * wants to uses as much as anybody else, whatever single items cost.
 */
export class Turns<Taker extends TurnTaker> {
  private readonly ring = new Fifo<Taker>();
  private readonly credit: number;

  /** @param credit what one turn gives. */
  constructor(credit: number) {
    this.credit = credit;
  }

  get size(): number {
    return this.ring.length;
  }

  /** Gives it a place behind the others, unless it has one. */
  join(taker: Taker): void {
    if (taker.inRing) return;
    taker.inRing = true;
    this.ring.push(taker);
  }

  /** All of them, who comes next first. */
  [Symbol.iterator](): Iterator<Taker> {
    return this.ring[Symbol.iterator]();
  }

  /** Says whose turn it is; undefined when nobody is there. */
  next(): Taker | undefined {
    for (let taker = this.ring.first(); taker !== undefined; taker = this.ring.first()) {
      if (taker.credit > 0) return taker;
      taker.credit += this.credit;
      this.ring.push(taker);
      this.ring.shift();
    }
    return undefined;
  }

  /** Takes away whoever has the turn. It keeps its debts, and no credit. */
  leave(): void {
    const taker = this.ring.shift();
    if (taker === undefined) return;
    taker.inRing = false;
    taker.credit = Math.min(0, taker.credit);
  }
}
