import type { Delivery, LogEvent } from '../../delivery.ts';
import type { AttemptRecord, LaneRecording } from '../../recording.ts';
import type { SimulatedProcess } from '../processes/process.ts';
import { RETRY_SCHEDULE_MS } from '../processes/process.ts';
import { deliveryKey, type StoredLane } from '../servers/store.ts';
import type { Surroundings } from '../surroundings.ts';

/** Checks what is promised with what nobody in the simulation knows: all of it. */
export class Promises {
  private readonly around: Surroundings;
  private readonly mostAttempts: number;
  /** Events of a lane up to which everything of an endpoint is over. */
  private readonly settledUpTo = new Map<string, number>();
  /** Events of a pair that are over, from the first one on. */
  private readonly overOfPair = new Map<string, number>();

  constructor(around: Surroundings) {
    this.around = around;
    this.mostAttempts = (around.world.retryScheduleMs ?? RETRY_SCHEDULE_MS).length + 1;
  }

  /** Checks a send as it begins. */
  checkSend(process: SimulatedProcess, delivery: Delivery): void {
    const { store, endpoints, receivers, races, repeats } = this.around;
    const { event, endpointLane, ordered, attempt } = delivery;
    const { endpoint, window } = endpointLane;
    const { id } = endpoint;
    if (process.now().monotonicMs >= process.leaseUntilMs) throw new Error('Sent without a lease.');
    if (process.view.endpoint(id)?.state !== 'active') throw new Error(`${id} is not active.`);
    if (!process.view.matches(id, event)) throw new Error(`${id} does not subscribe to it.`);
    if (!endpoints.mayGet(id, event)) throw new Error(`${id} did not subscribe when it happened.`);
    if (process.gone.has(id)) throw new Error(`Sent to ${id} after 410.`);
    if (process.ownedLanes().get(window.lane) !== window.epoch) throw new Error('Not its lane.');
    const isOwner = store.lane(window.lane).epoch === window.epoch;
    if (!isOwner) {
      races.count('zombieSent');
      repeats.allow();
    }
    if (!ordered) return;
    const key = deliveryKey(id, event.lane, event.position);
    if (attempt > this.mostAttempts && !this.isUnanswered(delivery) && !receivers.gone.has(key)) {
      throw new Error(`${key} was sent once more than it may be.`);
    }
    if (isOwner && store.settled.get(key) === 'delivered' && !store.revived.has(key)) {
      throw new Error(`${key} was needlessly sent again.`);
    }
    if (isOwner) {
      // The rows that one who lost a lane claims may be those that the new owner made due.
      checkAlone(process, delivery);
      repeats.checkSend(delivery);
    }
    this.checkOrder(process, delivery);
  }

  /** Whether nobody knows how the attempt before this one ended. */
  private isUnanswered({ event, endpointLane, attempt }: Delivery): boolean {
    const { parked } = this.around.store.lane(event.lane);
    const row = parked.find({ position: event.position, endpointId: endpointLane.endpoint.id });
    return row?.inFlight === true && row.attempt === attempt - 1;
  }

  /** Whatever is older of its pair was received, or is over. */
  private checkOrder(process: SimulatedProcess, { event, endpointLane }: Delivery): void {
    const { log, endpoints, receivers, store } = this.around;
    const { id } = endpointLane.endpoint;
    const pair = `${id} ${event.invoiceId}`;
    let isAll = true;
    for (let nth = this.overOfPair.get(pair) ?? 0; nth < event.sequence - 1; nth += 1) {
      const older = log.find(event.invoiceId, nth + 1);
      const key = deliveryKey(id, older.lane, older.position);
      const isReceived = receivers.delivered.has(key) || store.settled.get(key) === 'dead';
      isAll &&= isReceived || !endpoints.mustGet(id, older);
      if (isAll) this.overOfPair.set(pair, nth + 1);
      else if (!isReceived && endpoints.mustGet(id, older) && !isDeadFor(process, older, id)) {
        throw new Error(`${event.lane}:${event.position} was sent to ${id} before ${key}.`);
      }
    }
  }

  /** Checks what a recording made of a lane. `before` is where progress stood. */
  checkWritten(written: LaneRecording, before: number): void {
    const { store, log } = this.around;
    const { lane, progress, mark } = written;
    log.checkMark(lane, progress, mark);
    if (progress < before) throw new Error(`Progress went back in lane ${lane}.`);
    for (const attempt of written.attempts) this.checkSettlement(lane, attempt);
    const stored = store.lane(lane);
    for (const endpointId of this.around.endpoints.ids()) {
      this.checkPassed(stored, { endpointId, lane });
    }
    this.checkRows(lane, stored);
  }

  private checkSettlement(lane: number, record: AttemptRecord): void {
    const { endpoints, receivers, store, world, races } = this.around;
    const { event, endpointId, settlement, outcome, attempt } = record;
    const key = deliveryKey(endpointId, lane, event.position);
    switch (settlement) {
      case undefined:
        return;
      case 'delivered':
        if (!receivers.delivered.has(key)) throw new Error(`${key} was not received.`);
        return;
      case 'cancelled':
        if (endpoints.mustGet(endpointId, event)) throw new Error(`${key} was cancelled.`);
        return;
      case 'dead': {
        // By the clock of the process, which is nobody's fault.
        const isOld = record.startedAtMs - event.recordedAtMs > (world.retentionMs ?? Infinity);
        const isTried = outcome !== undefined && attempt >= this.mostAttempts;
        if (outcome === undefined) races.count('diedOfAge');
        if (isTried || store.revived.has(key) || (outcome === undefined && isOld)) return;
        throw new Error(`${key} died too early.`);
      }
    }
  }

  /**
   * Up to progress, and up to its cursor, an endpoint has got everything, or a row is there for it;
   * behind the cursor there is none.
   */
  private checkPassed(
    stored: StoredLane,
    { endpointId, lane }: { readonly endpointId: string; readonly lane: number },
  ): void {
    const cursor = stored.cursors.get(endpointId)?.position ?? Infinity;
    const upTo = Math.min(stored.progress, cursor);
    const events = this.around.log.eventsOf(lane);
    const place = `${endpointId} ${lane}`;
    let isAll = true;
    for (let nth = this.settledUpTo.get(place) ?? 0; nth < upTo; nth += 1) {
      const event = events[nth];
      if (event === undefined) throw new Error(`Progress is beyond the end of lane ${lane}.`);
      isAll &&= this.isOver(endpointId, event);
      if (isAll) this.settledUpTo.set(place, nth + 1);
      else if (!this.isKept(stored, endpointId, event)) {
        throw new Error(`Progress passed ${event.id}, which ${endpointId} has not got.`);
      }
    }
    for (const { event, ordered } of stored.parked.of(endpointId)) {
      if (ordered && event.position > cursor) {
        throw new Error(`A row of ${endpointId} stands behind its cursor.`);
      }
    }
  }

  private isKept(stored: StoredLane, endpointId: string, event: LogEvent): boolean {
    if (this.isOver(endpointId, event)) return true;
    return stored.parked.find({ position: event.position, endpointId }) !== undefined;
  }

  /** It is settled, or the endpoint does not want it any more: both stay so. */
  private isOver(endpointId: string, event: LogEvent): boolean {
    const { store, endpoints } = this.around;
    const isSettled = store.settled.has(deliveryKey(endpointId, event.lane, event.position));
    return isSettled || !endpoints.mustGet(endpointId, event);
  }

  /** No row lies above progress, and of a pair only the oldest one is due. */
  private checkRows(lane: number, { parked, progress }: StoredLane): void {
    const { endpoints } = this.around;
    const pairs = Map.groupBy(
      parked.all().filter(({ ordered }) => ordered),
      ({ endpointId, event }) => `${endpointId} ${event.invoiceId}`,
    );
    for (const [pair, rows] of pairs) {
      const inOrder = rows.toSorted((one, other) => one.event.position - other.event.position);
      const [oldest, ...behind] = inOrder;
      const last = inOrder.at(-1);
      if (oldest === undefined || last === undefined) continue;
      if (last.event.position > progress) throw new Error(`A row of lane ${lane} is too high.`);
      // What is unregistered is cancelled, and nobody cares about its order.
      if (endpoints.get(oldest.endpointId) === undefined) continue;
      if (oldest.dueAtMs === undefined) throw new Error(`The head of ${pair} is not due.`);
      if (behind.some(({ dueAtMs }) => dueAtMs !== undefined)) {
        throw new Error(`The pair ${pair} has two heads.`);
      }
    }
  }

  /** Says what is missing at the end; undefined when everybody got everything. */
  findMissing(): string | undefined {
    const { log, endpoints, store, receivers } = this.around;
    for (const event of log.lanes.flat()) {
      for (const endpointId of endpoints.ids()) {
        if (!endpoints.mustGet(endpointId, event)) continue;
        const key = deliveryKey(endpointId, event.lane, event.position);
        const settlement = store.settled.get(key);
        if (settlement === 'dead') continue;
        if (settlement !== 'delivered') return `${key} was not settled, but ${settlement}.`;
        if (!receivers.delivered.has(key)) return `${key} was not received.`;
      }
    }
    return undefined;
  }
}

/** At most one of a pair is in flight in a lane as a process has it. */
function checkAlone(process: SimulatedProcess, { event, endpointLane }: Delivery): void {
  let ofPair = 0;
  for (const { ordered, endpointLane: other, event: otherEvent } of process.sends.keys()) {
    if (!ordered || other.window !== endpointLane.window) continue;
    if (other.endpoint.id !== endpointLane.endpoint.id) continue;
    if (otherEvent.invoiceId === event.invoiceId) ofPair += 1;
  }
  if (ofPair > 1) throw new Error('Two of a pair are in flight.');
}

/** Whether it died in the eyes of a process, which has not recorded that yet. */
function isDeadFor(process: SimulatedProcess, event: LogEvent, endpointId: string): boolean {
  const windows = [...process.state().windows.values()];
  const drafted = process.uncommitted?.lanes ?? [];
  return [...windows, ...drafted].some(({ attempts }) => {
    return attempts.some((record) => {
      const isSame = record.event === event || record.event.id === event.id;
      return isSame && record.endpointId === endpointId && record.settlement === 'dead';
    });
  });
}
