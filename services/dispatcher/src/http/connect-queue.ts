import { Fifo } from '../engine/fifo.ts';

/** How many are begun before what came over open connections is looked at again. */
const CONNECTS_PER_TURN = 8;

/**
 * Makes connections after what goes over open ones, and a few at a time: one takes as long as some ten
 * requests, and a receiver that closes its connection after each delivery asks for them without end.
 */
export class ConnectQueue {
  private readonly waiting = new Fifo<() => void>();
  private isTurnComing = false;

  /** Has `begin` called after what is being done now. */
  add(begin: () => void): void {
    this.waiting.push(begin);
    this.askForTurn();
  }

  private askForTurn(): void {
    if (this.isTurnComing || this.waiting.length === 0) return;
    this.isTurnComing = true;
    setImmediate(() => this.takeTurn());
  }

  private takeTurn(): void {
    const count = Math.min(this.waiting.length, CONNECTS_PER_TURN);
    for (let index = 0; index < count; index += 1) this.waiting.shift()?.();
    this.isTurnComing = false;
    this.askForTurn();
  }
}
