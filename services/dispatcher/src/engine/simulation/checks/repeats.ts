import type { Delivery } from '../../delivery.ts';
import type { LaneWindow } from '../../lane-window.ts';
import type { AttemptRecord } from '../../recording.ts';
import type { SimulatedProcess } from '../processes/process.ts';

/**
 * How many deliveries may reach a receiver again. It gets twice what was in flight, or not recorded, when
 * its lane moved; what was sent by somebody who had lost the lane; and what it took without saying so.
 */
export class Repeats {
  private readonly heard = new WeakMap<LaneWindow, Set<string>>();
  private allowed = 0;
  private seen = 0;

  /** The owner of a lane hears that a delivery was taken. */
  hear({ event, endpointLane: { endpoint, window } }: Delivery): void {
    const heard = this.heard.get(window) ?? new Set();
    this.heard.set(window, heard.add(`${endpoint.id} ${event.position}`));
  }

  /** Nobody sends again what he knows to be taken. */
  checkSend({ event, endpointLane: { endpoint, window } }: Delivery): void {
    const isKnown = this.heard.get(window)?.has(`${endpoint.id} ${event.position}`);
    if (isKnown === true) throw new Error(`${endpoint.id} had taken ${event.id}.`);
  }

  /** A lane is about to move away from a process, which may be dead. */
  laneMoves(process: SimulatedProcess, { lane, epoch }: Lost): void {
    for (const { endpointLane } of process.sends.keys()) {
      const { window } = endpointLane;
      if (window.lane === lane && window.epoch === epoch) this.allowed += 1;
    }
    const window = process.state().windows.get(lane);
    if (window?.epoch === epoch) this.allowed += countDelivered(window.attempts);
    for (const written of process.uncommitted?.lanes ?? []) {
      if (written.lane === lane) this.allowed += countDelivered(written.attempts);
    }
  }

  /** One more may come twice. */
  allow(): void {
    this.allowed += 1;
  }

  /** One came twice. */
  see(): void {
    this.seen += 1;
    if (this.seen > this.allowed) {
      throw new Error(
        `${this.seen} deliveries came twice, but ought to be ${this.allowed} at most`,
      );
    }
  }
}

interface Lost {
  readonly lane: number;
  readonly epoch: number;
}

function countDelivered(attempts: readonly AttemptRecord[]): number {
  return attempts.filter(({ settlement }) => settlement === 'delivered').length;
}
