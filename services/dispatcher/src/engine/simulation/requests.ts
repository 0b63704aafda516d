import type { LogEvent } from '../delivery.ts';
import type { LateAnswer, OwnerRequest, StoredAnswer } from '../effect.ts';
import type { SimulatedProcess } from './process.ts';
import { deliveryKey, type SimulatedStore } from './store.ts';

/** What others ask of the owners of the lanes, as `dispatching/owner-requests.ts` hands it on. */
export class SimulatedRequests {
  private readonly store: SimulatedStore;
  private readonly requests: OwnerRequest[] = [];
  private answers = 0;

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

  /** Writes what came too late for somebody. */
  leave(answer: LateAnswer): void {
    this.answers += 1;
    const answerId = String(this.answers);
    this.store.lateAnswers.set(answerId, { ...answer, answerId });
  }

  /** Hands a process the late answers of its lanes that it does not have yet. */
  handAnswers(process: SimulatedProcess): void {
    const lanes = process.ownedLanes();
    const fresh: StoredAnswer[] = [];
    for (const answer of this.store.lateAnswers.values()) {
      const key = `${answer.answerId} ${answer.lane} ${lanes.get(answer.lane)}`;
      if (!lanes.has(answer.lane) || process.answers.has(key)) continue;
      process.answers.add(key);
      fresh.push(answer);
    }
    if (fresh.length > 0) process.input((engine, now) => engine.answeredLate(fresh, now));
  }

  /** Hands a process what it does not have yet. */
  hand(process: SimulatedProcess): void {
    const lanes = process.ownedLanes();
    const asked: OwnerRequest[] = [];
    for (const request of this.requests) {
      const { requestId, lane } = request;
      if (!lanes.has(lane) || this.store.carriedOut.has(requestId)) continue;
      const key = `${requestId} ${lane} ${lanes.get(lane)}`;
      if (process.asked.has(key)) continue;
      process.asked.add(key);
      asked.push(request);
    }
    if (asked.length > 0) process.input((engine, now) => engine.requested(asked, now));
  }
}
