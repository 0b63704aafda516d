import type { LogEvent } from '../../delivery.ts';
import type { LateAnswer, OwnerRequest, StoredAnswer } from '../../effect.ts';
import type { SimulatedProcess } from './process.ts';
import { RETRY_SCHEDULE_MS } from './process.ts';
import { deliveryKey } from '../servers/store.ts';
import type { Surroundings } from '../surroundings.ts';

const POLL_EVERY_MS = 500;
const STATEMENT_MS = 20;

/** What others ask of the owners of the lanes, as `dispatching/owner-requests.ts` hands it on. */
export class SimulatedRequests {
  private readonly around: Surroundings;
  private readonly requests: OwnerRequest[] = [];
  private answers = 0;

  constructor(around: Surroundings) {
    this.around = around;
  }

  /** Asks for a delivery that waits or is dead; of another nothing is asked. */
  ask(event: LogEvent, endpointId: string): void {
    const { store, world } = this.around;
    const { lane, position } = event;
    const row = store.lane(lane).parked.find({ position, endpointId });
    const isDead = store.settled.get(deliveryKey(endpointId, lane, position)) === 'dead';
    if (row === undefined && !isDead) return;
    const requestId = String(this.requests.length + 1);
    const attempt = (world.retryScheduleMs ?? RETRY_SCHEDULE_MS).length + 1;
    const revive = row === undefined ? { event, attempt } : undefined;
    this.requests.push({ requestId, lane, position, endpointId, revive });
  }

  /** Writes what came too late for somebody. */
  leave(answer: LateAnswer): void {
    this.answers += 1;
    const answerId = String(this.answers);
    this.around.store.lateAnswers.set(answerId, { ...answer, answerId });
  }

  /** Says how much nobody has carried out yet. */
  waiting(): number {
    const { carriedOut, lateAnswers } = this.around.store;
    const open = this.requests.filter(({ requestId }) => !carriedOut.has(requestId));
    return open.length + lateAnswers.size;
  }

  /** Reads what there is for a process, again and again. */
  poll(process: SimulatedProcess): void {
    const { timeline, dice, weather } = this.around;
    const lanes = process.ownedLanes();
    timeline.later(weather.storeMs(process.name, STATEMENT_MS), {
      process,
      run: () => {
        const answers = this.freshAnswers(process, lanes);
        const asked = this.freshRequests(process, lanes);
        timeline.later(dice(`poll ${process.name}`) * STATEMENT_MS, {
          process,
          run: () => {
            give(process, answers, asked);
            timeline.later(POLL_EVERY_MS, { process, run: () => this.poll(process) });
          },
        });
      },
    });
  }

  /** The late answers of its lanes that it does not have yet. */
  private freshAnswers(process: SimulatedProcess, lanes: ReadonlyMap<number, number>) {
    const fresh: StoredAnswer[] = [];
    for (const answer of this.around.store.lateAnswers.values()) {
      const key = `${answer.answerId} ${answer.lane} ${lanes.get(answer.lane)}`;
      if (!lanes.has(answer.lane) || process.answers.has(key)) continue;
      process.answers.add(key);
      fresh.push(answer);
    }
    return fresh;
  }

  private freshRequests(process: SimulatedProcess, lanes: ReadonlyMap<number, number>) {
    const fresh: OwnerRequest[] = [];
    for (const request of this.requests) {
      const { requestId, lane } = request;
      if (!lanes.has(lane) || this.around.store.carriedOut.has(requestId)) continue;
      const key = `${requestId} ${lane} ${lanes.get(lane)}`;
      if (process.asked.has(key)) continue;
      process.asked.add(key);
      fresh.push(request);
    }
    return fresh;
  }
}

/** What is answered need not be sent again: it comes first. */
function give(
  process: SimulatedProcess,
  answers: readonly StoredAnswer[],
  asked: readonly OwnerRequest[],
): void {
  if (answers.length > 0) {
    process.answeredLate(`reads ${answers.length} late answers`, (engine, now) => {
      engine.answeredLate(answers, now);
    });
  }
  if (asked.length > 0) {
    process.input(`is asked for ${asked.length} deliveries`, (engine, now) => {
      engine.requested(asked, now);
    });
  }
}
