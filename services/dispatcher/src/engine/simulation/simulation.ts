import type { Delivery, LogEvent } from '../delivery.ts';
import type { Claim, Effect, Now, Refill, RowSearch } from '../effect.ts';
import type { EndpointView } from '../endpoint.ts';
import type { LaneRecorded, Recording } from '../recording.ts';
import { checkMark, checkPassed } from './checks.ts';
import { DELIVERY_TIMEOUT_MS, SimulatedProcess } from './process.ts';
import { createRandom } from './random.ts';
import { SimulatedRequests } from './requests.ts';
import { deliveryKey, SimulatedStore } from './store.ts';
import { Subscribers, type Takes } from './subscribers.ts';
import type { Behaviour, World } from './world.ts';

interface Pending {
  readonly atMs: number;
  readonly process: SimulatedProcess | undefined;
  run(): void;
  /** What may happen all the same when the process dies: a transaction that was on its way. */
  readonly orElse?: (() => void) | undefined;
}

const RETRY_SCHEDULE_MS = [2_000, 4_000, ...Array.from({ length: 12 }, () => 8_000)];
const STEP_MS = 40;
const ASK_EVERY_MS = 500;

/**
 * A world around engines: log, store, receivers and clock in memory, all from one seed. Every
 * effect is answered later, in any order, and every step of every engine is checked.
 */
export class Simulation {
  readonly log: LogEvent[][];
  readonly store: SimulatedStore;
  readonly subscribers: Subscribers;
  behaviour: Behaviour;
  sends = 0;
  /** Sends of what was recorded as delivered before: there must be none. */
  needlessSends = 0;

  private readonly world: World;
  private readonly random: () => number;
  private readonly requests: SimulatedRequests;
  private readonly owners = new Map<number, SimulatedProcess>();
  private processes: SimulatedProcess[] = [];
  private pending: Pending[] = [];
  private nowMs = 1_000_000;
  private askAtMs = 0;

  constructor(seed: number, world: World) {
    this.world = world;
    this.random = createRandom(seed);
    this.subscribers = new Subscribers(this.random);
    this.behaviour = world.behaviour;
    this.log = Array.from({ length: world.lanes }, () => []);
    this.store = new SimulatedStore(world.lanes);
    this.requests = new SimulatedRequests(this.store);
    this.processes = Array.from({ length: world.processes }, () => this.startProcess());
    for (const lane of this.log.keys()) this.takeOver(lane);
  }

  append(lane: number, invoiceId: string, sequence: number): void {
    const events = this.eventsOf(lane);
    const position = events.length + 1;
    events.push({
      lane,
      position,
      id: `evt_${lane}_${position}`,
      tenant: 'default',
      invoiceId,
      sequence,
      type: 'invoice_updated',
      recordedAtMs: this.nowMs,
      traceparent: undefined,
      offset: position + 100,
      body: Buffer.from('{}'),
    });
  }

  setEndpoint(
    endpointId: string,
    state: EndpointView['state'] | undefined,
    takes: Takes = () => true,
  ): void {
    if (state === undefined) this.subscribers.remove(endpointId);
    else this.subscribers.set(viewOf(endpointId, state), takes, this.nowMs);
    for (const process of this.processes) this.tell(process, endpointId);
  }

  /** A process dies, and another one starts; its lanes are taken over a little later. */
  crash(): void {
    const process = this.pick();
    const lanes = this.lanesOf(process);
    process.isAlive = false;
    for (const { process: of, orElse } of this.pending) {
      if (of === process && this.random() < 0.5) orElse?.();
    }
    this.pending = this.pending.filter((pending) => pending.process !== process);
    this.replace(process);
    for (const lane of lanes) this.later(500, undefined, () => this.takeOver(lane));
  }

  /** A process stops, and another one starts. */
  drain(): void {
    const process = this.pick();
    process.isStopping = true;
    process.input((engine, now) => engine.drain(now));
  }

  /** A lane is to go to another process. */
  handOver(lane = Math.floor(this.random() * this.log.length)): void {
    this.owners.get(lane)?.input((engine, now) => engine.handOver(lane, now));
  }

  /** A process cannot renew its leases: others take its lanes, and it learns of it late. */
  expire(): void {
    const process = this.pick();
    const lanes = this.lanesOf(process);
    process.lease(this.nowMs);
    this.later(300, process, () => {
      for (const lane of lanes) if (this.owners.get(lane) === process) this.takeOver(lane);
      this.later(300, process, () => {
        for (const lane of lanes) {
          if (this.owners.get(lane) !== process) {
            process.input((engine, now) => engine.laneLost(lane, now));
          }
        }
        process.lease(Infinity);
      });
    });
  }

  /** Asks for a waiting or dead delivery to be sent now, or for several of them. */
  retryByHand(share: number): void {
    for (const events of this.log) {
      for (const event of events) {
        for (const endpointId of this.subscribers.endpointIds()) {
          if (this.random() < share) this.requests.ask(event, endpointId);
        }
      }
    }
  }

  /** Lets time pass, reading and answering on the way. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    while (this.nowMs < endMs) {
      this.step();
      this.pending.sort((one, other) => one.atMs - other.atMs);
      const next = this.pending[0];
      if (next !== undefined && next.atMs <= this.nowMs + STEP_MS) {
        this.pending.shift();
        this.nowMs = Math.max(this.nowMs, next.atMs);
        next.run();
      } else {
        this.nowMs += STEP_MS;
        for (const process of this.processes) process.input((engine, now) => engine.tick(now));
      }
    }
  }

  /** Checks that all is recorded, and that no process holds anything. */
  expectIdle(): void {
    for (const process of this.processes) {
      const { inFlight, held, heldBytes, unrecorded } = process.usage();
      if (inFlight + held + heldBytes + unrecorded > 0)
        throw new Error('A process holds something.');
      process.checkIdle();
    }
    for (const [lane, events] of this.log.entries()) {
      const { progress, rows, cursors } = this.store.lane(lane);
      if (progress !== events.length) throw new Error(`Lane ${lane} stands at ${progress}.`);
      if (cursors.size > 0) throw new Error(`Lane ${lane} has ${cursors.size} cursors left.`);
      if (rows.length > 0) throw new Error(`Lane ${lane} has ${rows.length} rows left.`);
    }
    if (this.store.lateAnswers.size > 0) throw new Error('Late answers are left.');
    if (this.needlessSends > 0) throw new Error(`${this.needlessSends} sends were needless.`);
  }

  private step(): void {
    for (const process of this.processes) this.read(process);
    for (const process of this.processes.filter((each) => each.isStopping)) {
      if (process.usage().lanes > 0 || process.sends.size > 0) continue;
      if (this.pending.some((pending) => pending.process === process)) continue;
      process.isAlive = false;
      this.replace(process);
    }
    for (const process of this.processes) this.requests.handAnswers(process);
    if (this.nowMs < this.askAtMs) return;
    this.askAtMs = this.nowMs + ASK_EVERY_MS;
    for (const process of this.processes) this.requests.hand(process);
  }

  private startProcess(): SimulatedProcess {
    return new SimulatedProcess({
      store: this.store,
      random: this.random,
      retryScheduleMs: this.world.retryScheduleMs ?? RETRY_SCHEDULE_MS,
      now: () => this.now(),
      view: (endpointId) => this.subscribers.view(endpointId),
      matches: ({ endpointId }, event) => this.subscribers.subscribes(endpointId, event),
      carryOut: (process, effect) => this.carryOut(process, effect),
    });
  }

  private replace(process: SimulatedProcess): void {
    this.processes = this.processes.filter((other) => other !== process);
    this.processes.push(this.startProcess());
  }

  private pick(): SimulatedProcess {
    const process = this.processes[Math.floor(this.random() * this.processes.length)];
    if (process === undefined) throw new Error('No process is there.');
    return process;
  }

  private lanesOf(process: SimulatedProcess): number[] {
    return [...this.owners].filter(([, owner]) => owner === process).map(([lane]) => lane);
  }

  /** Some process takes a lane; it loads it at once, and its engine has it a little later. */
  private takeOver(lane: number): void {
    const process = this.pick();
    if (process.isStopping) {
      this.later(100, undefined, () => this.takeOver(lane));
      return;
    }
    this.owners.set(lane, process);
    const gained = this.store.takeOver(lane);
    this.later(20, process, () => {
      // Whoever took it over meanwhile has it.
      if (this.store.lane(lane).epoch !== gained.epoch) return undefined;
      if (process.isStopping) return this.takeOver(lane);
      return process.input((engine, now) => engine.laneGained(gained, now));
    });
  }

  private tell(process: SimulatedProcess, endpointId: string): void {
    process.gone.delete(endpointId);
    process.input((engine, now) => engine.endpointsChanged([endpointId], now));
  }

  private read(process: SimulatedProcess): void {
    if (process.isReading) return;
    const requests = process.readRequests();
    const slices = requests.map(({ lane, epoch, after, mark, limit }) => {
      checkMark(this.eventsOf(lane), after, mark);
      return { lane, epoch, events: this.eventsOf(lane).slice(after, after + limit) };
    });
    if (slices.every(({ events }) => events.length === 0)) return;
    process.isReading = true;
    this.later(5, process, () => {
      process.isReading = false;
      const matched = slices.map(({ events, ...of }) => ({
        ...of,
        events: events.map((event) => ({ event, endpoints: this.subscribers.matching(event) })),
      }));
      process.input((engine, now) => engine.eventsRead(matched, now));
    });
  }

  private carryOut(process: SimulatedProcess, effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        return this.send(process, effect.delivery);
      case 'record':
        return this.record(process, effect.recording);
      case 'claim':
        return this.claim(process, effect.claims);
      case 'find':
        return this.find(process, effect.searches);
      case 'refill':
        return this.refill(process, effect.refills);
      case 'answered_late': {
        const leave = (): void => this.requests.leave(effect.answer);
        // Nobody heard of the commit, and it is written again.
        if (this.random() < 0.2) this.later(3_000, process, leave);
        return this.later(this.storeMs(20), process, leave, leave);
      }
      case 'lost':
      case 'release':
        return this.later(50, undefined, () => {
          const isOwner = this.owners.get(effect.lane) === process;
          if (isOwner && this.store.lane(effect.lane).epoch === effect.epoch) {
            this.takeOver(effect.lane);
          }
        });
      case 'report_gone':
        process.gone.add(effect.endpointId);
        return this.later(50, undefined, () => this.disable(process, effect.endpointId));
    }
  }

  /** Disables an endpoint for a while. Of one that is not active now, nothing changes. */
  private disable(process: SimulatedProcess, endpointId: string): void {
    const { subscribers } = this;
    if (subscribers.view(endpointId)?.state !== 'active') return;
    const takes = subscribers.takes(endpointId);
    // Some were enabled since: the report is ignored, and the process told.
    if (this.random() < 0.3) return this.tell(process, endpointId);
    this.setEndpoint(endpointId, 'disabled', takes);
    return this.later(3_000, undefined, () => {
      const isDisabled = subscribers.view(endpointId)?.state === 'disabled';
      if (isDisabled) this.setEndpoint(endpointId, 'active', subscribers.takes(endpointId));
    });
  }

  private send(process: SimulatedProcess, delivery: Delivery): void {
    this.checkSend(process, delivery);
    const { outcome, hangs } = this.subscribers.answer(delivery, this.behaviour);
    this.sends += 1;
    const isSlow = this.random() < this.behaviour.slowRate;
    const answerMs = hangs ? DELIVERY_TIMEOUT_MS * 2 : 20;
    this.later(isSlow ? DELIVERY_TIMEOUT_MS : answerMs, process, () => {
      process.sends.delete(delivery);
      process.input((engine, now) => engine.answered([{ delivery, outcome }], now));
    });
  }

  private checkSend(process: SimulatedProcess, { event, endpointLane, ordered }: Delivery): void {
    const { id } = endpointLane.endpoint;
    if (this.nowMs >= process.leaseUntilMs) throw new Error('Sent without a lease.');
    if (this.subscribers.view(id)?.state !== 'active') throw new Error(`${id} is not active.`);
    if (!this.subscribers.subscribes(id, event)) throw new Error(`${id} did not subscribe to it.`);
    if (process.gone.has(id)) throw new Error(`Sent to ${id} after 410.`);
    if (!ordered) return;
    const key = deliveryKey(id, event.lane, event.position);
    if (this.store.settled.get(key) === 'delivered') this.needlessSends += 1;
    const ofPair = [...process.sends].filter(
      (other) =>
        other.ordered &&
        other.endpointLane.window === endpointLane.window &&
        other.endpointLane.endpoint.id === id &&
        other.event.invoiceId === event.invoiceId,
    );
    if (ofPair.length > 1) throw new Error('Two of a pair are in flight.');
  }

  private record(process: SimulatedProcess, recording: Recording): void {
    const write = () => recording.lanes.map((written) => this.writeLane(written));
    const isRefused = this.random() < this.behaviour.refusedRecordingRate;
    const isUnheard = this.random() < 0.5;
    const atMs = this.storeMs(30);
    const run = (): void => {
      let results = isRefused && !isUnheard ? [] : write();
      if (isRefused) results = recording.lanes.map(({ lane }) => ({ kind: 'refused', lane }));
      this.later(this.storeMs(10), process, () => {
        for (const { carriedOut, lane, epoch } of recording.lanes) {
          for (const { requestId } of carriedOut)
            process.asked.delete(`${requestId} ${lane} ${epoch}`);
        }
        for (const { answersTaken, lane, epoch } of recording.lanes) {
          for (const answerId of answersTaken)
            process.answers.delete(`${answerId} ${lane} ${epoch}`);
        }
        process.input((engine, now) => engine.recorded(recording, results, now));
      });
    };
    this.later(atMs, process, run, write);
  }

  private writeLane(written: Recording['lanes'][number]): LaneRecorded {
    const before = this.store.lane(written.lane).progress;
    const result = this.store.write(written);
    checkMark(this.eventsOf(written.lane), written.progress, written.mark);
    // What an endpoint did not take from the beginning on may not have matched.
    const endpointIds = this.subscribers.endpointIds().filter((id) => /^ep_\d$/.test(id));
    const passed = this.eventsOf(written.lane).slice(before, written.progress);
    if (result.kind === 'recorded') checkPassed(this.store, passed, endpointIds);
    return result;
  }

  /** Rows are read at one moment, and are known at a later one. */
  private claim(process: SimulatedProcess, claims: readonly Claim[]): void {
    const taken = claims.map(({ endpointLane }) => new Set(endpointLane.claimed.keys()));
    this.later(this.storeMs(20), process, () => {
      const results = claims.map((claim, index) => {
        const { window, endpoint } = claim.endpointLane;
        const asked = {
          endpointId: endpoint.id,
          limit: claim.limit,
          taken: taken[index] ?? new Set(),
        };
        return { claim, ...this.store.readDue(window.lane, asked, this.nowMs) };
      });
      this.later(this.storeMs(20), process, () => {
        process.input((engine, now) => engine.claimed(results, now));
      });
    });
  }

  private find(process: SimulatedProcess, searches: readonly RowSearch[]): void {
    this.later(this.storeMs(20), process, () => {
      const rows = searches.map((search) => {
        return { search, row: this.store.readAnswered(search.answer) };
      });
      this.later(this.storeMs(20), process, () => {
        process.input((engine, now) => engine.found(rows, now));
      });
    });
  }

  private refill(process: SimulatedProcess, refills: readonly Refill[]): void {
    this.later(this.storeMs(20), process, () => {
      const read = refills.map((refill) => {
        checkMark(this.eventsOf(refill.lane), refill.after, refill.mark);
        // The log may be away, or bring less than was asked for.
        const most = Math.floor(this.random() * 1.5 * refill.limit);
        const { after, limit } = refill;
        return {
          refill,
          events: this.eventsOf(refill.lane).slice(after, after + Math.min(most, limit)),
        };
      });
      this.later(this.storeMs(10), process, () => {
        const results = read.map(({ refill, events }) => ({
          refill,
          events: events.map((event) => ({
            event,
            endpoints: this.subscribers
              .matching(event)
              .filter(({ endpointId }) => refill.endpointIds.has(endpointId)),
          })),
        }));
        process.input((engine, now) => engine.refilled(results, now));
      });
    });
  }

  private storeMs(usualMs: number): number {
    return this.random() < this.behaviour.slowStoreRate ? 4_000 : usualMs;
  }

  private eventsOf(lane: number): LogEvent[] {
    const events = this.log[lane];
    if (events === undefined) throw new Error(`There is no lane ${lane}.`);
    return events;
  }

  private now(): Now {
    return { wallMs: this.nowMs, monotonicMs: this.nowMs };
  }

  private later(
    maxMs: number,
    process: SimulatedProcess | undefined,
    run: () => void,
    orElse?: () => void,
  ): void {
    this.pending.push({ atMs: this.nowMs + this.random() * maxMs, process, run, orElse });
  }
}

/** Some share a tenant or an origin, and one has a limit of its own. */
function viewOf(endpointId: string, state: EndpointView['state']): EndpointView {
  const number = Number(endpointId.slice(-1));
  return {
    endpointId,
    tenant: number % 2 === 0 ? 'even' : 'odd',
    origin: `http://host-${number % 3}`,
    state,
    rateLimitPerSecond: number === 2 ? 50 : undefined,
    maxInFlight: number === 3 ? 2 : undefined,
  };
}
