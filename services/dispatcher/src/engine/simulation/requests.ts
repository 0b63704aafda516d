import type { LogEvent } from '../delivery.ts';
import type { OwnerRequest } from '../effect.ts';
import type { SimulatedProcess } from './process.ts';
import { deliveryKey, type SimulatedStore } from './store.ts';

/** What others ask of the owners of the lanes, as `dispatching/owner-requests.ts` hands it on. */
export class SimulatedRequests {
  private readonly store: SimulatedStore;
  private readonly requests: OwnerRequest[] = [];

  constructor(store: SimulatedStore) {
    this.store = store;
  }

  /** Asks for a delivery that waits or is dead; of another nothing is asked. */
  ask(event: LogEvent, endpointId: string): void {
    const { lane, position } = event;
    const row = this.store.rowsOf(lane, endpointId).find((own) => own.event === event);
    const isDead = this.store.settled.get(deliveryKey(endpointId, lane, position)) === 'dead';
    if (row === undefined && !isDead) return;
    const requestId = String(this.requests.length + 1);
    const revive = row === undefined ? { event, attempt: 3 } : undefined;
    this.requests.push({ requestId, lane, position, endpointId, revive });
  }

  /** Hands a process what it does not have yet. */
  hand(process: SimulatedProcess): void {
    const lanes = process.ownedLanes();
    const asked: OwnerRequest[] = [];
    for (const request of this.requests) {
      const { requestId, lane } = request;
      if (!lanes.includes(lane) || this.store.carriedOut.has(requestId)) continue;
      const key = `${requestId} ${lane} ${this.store.lane(lane).epoch}`;
      if (process.asked.has(key)) continue;
      process.asked.add(key);
      asked.push(request);
    }
    if (asked.length > 0) process.input((engine, now) => engine.requested(asked, now));
  }
}
