import type { EndpointView } from '../endpoint.ts';
import { EndpointSet, EVERY_EVENT, type SetChange } from './servers/endpoint-set.ts';
import { LEASE_MS, SimulatedLeases } from './processes/leases.ts';
import { SimulatedLog, type Appended } from './servers/log.ts';
import { DELIVERY_TIMEOUT_MS, SimulatedProcess } from './processes/process.ts';
import { Promises } from './checks/promises.ts';
import { Races } from './checks/races.ts';
import { Repeats } from './checks/repeats.ts';
import { createDice } from './random.ts';
import { Receivers } from './servers/receivers.ts';
import { SimulatedReports } from './processes/reports.ts';
import { SimulatedRequests } from './processes/requests.ts';
import { SimulatedShell } from './processes/shell.ts';
import { SimulatedStore } from './servers/store.ts';
import type { Surroundings } from './surroundings.ts';
import { Timeline, type Pending } from './timeline.ts';
import { Trace } from './trace.ts';
import { SimulatedWatch } from './processes/watch.ts';
import { Weather } from './servers/weather.ts';
import { CALM, type World } from './world.ts';

const START_MS = 1_000_000;
const DISABLED_MS = 3_000;
/** A process that stops is ended after this, whatever it still has. */
const STOP_AFTER_MS = 15_000;
const STOP_CHECK_EVERY_MS = 20;
const IDLE_CHECK_EVERY_MS = 200;
/** What was on its way at a server when its process died happens all the same, or does not. */
const HAPPENS_RATE = 0.5;

/**
 * A world around engines: log, store, receivers, leases and clocks in memory, all from one seed.
 * Every effect is answered later, in any order, and every step of every engine is checked.
 */
export class Simulation implements Surroundings {
  readonly world: World;
  readonly timeline = new Timeline();
  readonly trace = new Trace();
  readonly races = new Races();
  readonly repeats = new Repeats();
  readonly endpoints = new EndpointSet();
  readonly dice;
  readonly weather: Weather;
  readonly log: SimulatedLog;
  readonly store: SimulatedStore;
  readonly receivers: Receivers;
  sends = 0;
  readonly leases: SimulatedLeases;
  readonly shell: SimulatedShell;
  private readonly watch: SimulatedWatch;
  private readonly promises: Promises;
  private readonly requests: SimulatedRequests;
  private readonly processes: SimulatedProcess[] = [];
  private started = 0;

  constructor(seed: number, world: World) {
    this.world = world;
    this.timeline.nowMs = START_MS;
    this.dice = createDice(seed);
    this.weather = new Weather(world.behaviour, this);
    this.log = new SimulatedLog(world.lanes);
    this.store = new SimulatedStore(world.lanes);
    this.receivers = new Receivers(this.dice, this.repeats, DELIVERY_TIMEOUT_MS);
    this.watch = new SimulatedWatch(this);
    this.leases = new SimulatedLeases(this, this.watch);
    this.promises = new Promises(this);
    this.requests = new SimulatedRequests(this);
    const { watch, leases, promises, requests } = this;
    const reports = new SimulatedReports(this, watch, (endpointId) => this.disable(endpointId));
    this.shell = new SimulatedShell(this, { leases, watch, promises, requests, reports });
    for (let process = 0; process < world.processes; process += 1) this.startProcess(process);
    for (const lane of this.log.lanes.keys()) leases.takeOver(lane);
  }

  append(event: Appended): void {
    const { lane, position, invoiceId } = this.log.append(event, this.timeline.nowMs);
    this.note(`appended ${lane}:${position} ${invoiceId} ${event.sequence}`);
    for (const process of this.processes) this.shell.wakeReader(process);
  }

  /** Puts an endpoint into the set, changes it, or takes it out of the set. */
  setEndpoint(
    endpointId: string,
    state: EndpointView['state'] | undefined,
    names: readonly string[] = [EVERY_EVENT],
  ): void {
    if (state === undefined) this.removeEndpoint(endpointId);
    else this.putEndpoint({ ...viewOf(endpointId), state }, names);
  }

  putEndpoint(view: EndpointView, names: readonly string[]): void {
    this.countWent(view.endpointId, names);
    this.changed(this.endpoints.set(view, names, this.timeline.nowMs));
  }

  /** Changes something of an endpoint that is in the set. */
  changeEndpoint(endpointId: string, change: Partial<EndpointView>): void {
    const subscriber = this.endpoints.get(endpointId);
    if (subscriber === undefined) return;
    this.putEndpoint({ ...subscriber.view, ...change }, [...subscriber.subscriptions.keys()]);
  }

  removeEndpoint(endpointId: string): void {
    if (this.endpoints.get(endpointId) === undefined) return;
    this.changed(this.endpoints.remove(endpointId, this.timeline.nowMs));
  }

  process(nth: number): SimulatedProcess {
    const process = this.processes[nth % this.processes.length];
    if (process === undefined) throw new Error('No process is there.');
    return process;
  }

  /** A process dies, and another one starts in its place. */
  crash(nth = this.pick(this.processes.length)): void {
    this.died(this.process(nth));
  }

  /** A process stops, and another one starts in its place. */
  drain(nth = this.pick(this.processes.length)): void {
    const process = this.process(nth);
    if (process.isStopping) return;
    process.isStopping = true;
    this.timeline.later(0, {
      process,
      run: () => {
        process.input('stops', (engine, now) => engine.drain(now));
        this.awaitStop(process, this.timeline.nowMs + STOP_AFTER_MS);
      },
    });
  }

  /** A lane is to go to another process. */
  handOver(lane = this.pick(this.log.lanes.length)): void {
    this.leases.revoke(lane);
  }

  /** A process renews its leases no more: others take its lanes, and it learns of it late. */
  expire(nth = this.pick(this.processes.length)): void {
    for (const lane of this.log.lanes.keys()) {
      if (this.leases.ownerOf(lane) === this.process(nth)) this.leases.steal(lane, 600);
    }
  }

  /** A process sleeps; its monotonic clock goes on meanwhile, or stands still. */
  freeze(nth: number, forMs: number, clock: 'goes on' | 'stands still'): void {
    const process = this.process(nth);
    const untilMs = this.timeline.nowMs + forMs;
    if (untilMs <= process.frozenUntilMs) return;
    const fromMs = Math.max(process.frozenUntilMs, this.timeline.nowMs);
    process.frozenUntilMs = untilMs;
    if (clock === 'stands still') process.clock.stoodStillMs += untilMs - fromMs;
    const run = (): void => this.wake(process, forMs);
    this.timeline.later(forMs, { process: undefined, run });
  }

  /** The wall clock of a process is set. */
  stepClock(nth: number, byMs: number): void {
    const { clock, sends } = this.process(nth);
    clock.aheadMs += byMs;
    if (sends.size > 0) this.races.count('clockStepped');
  }

  /** Whatever is broken works again, and nothing breaks any more. */
  heal(): void {
    this.weather.behaviour = CALM;
    this.weather.storeAwayUntilMs = -Infinity;
    this.weather.logAwayUntilMs = -Infinity;
    this.receivers.manners.clear();
    this.shell.nextCommits.clear();
    for (const process of this.processes) {
      process.clock.aheadMs = 0;
      process.effectsUntilDeath = Infinity;
      process.deadlyEffect = undefined;
    }
    for (const endpointId of this.endpoints.ids()) {
      const view = this.endpoints.get(endpointId)?.view;
      if (view === undefined) continue;
      // Any change wakes an endpoint. Where nothing is to be mended, it must come to an end by itself.
      const isMended = Object.entries(MENDED).every(([name, is]) => Reflect.get(view, name) === is);
      if (!isMended) this.changeEndpoint(endpointId, MENDED);
    }
  }

  /** Asks for waiting or dead deliveries to be sent now: for a share of all. */
  retryByHand(share: number): void {
    for (const event of this.log.lanes.flat()) {
      for (const endpointId of this.endpoints.ids()) {
        if (this.dice('retry by hand') < share) this.requests.ask(event, endpointId);
      }
    }
  }

  /** Lets time pass. */
  run(durationMs: number): void {
    const endMs = this.timeline.nowMs + durationMs;
    for (let next = this.timeline.next(endMs); next; next = this.timeline.next(endMs)) {
      this.perform(next);
    }
    this.timeline.nowMs = endMs;
  }

  /** Lets time pass until all is done, or for so long. */
  runUntilIdle(mostMs: number): void {
    const endMs = this.timeline.nowMs + mostMs;
    while (this.findLeft() !== undefined && this.timeline.nowMs < endMs) {
      this.run(IDLE_CHECK_EVERY_MS);
    }
  }

  /** Checks that all is recorded, and that no process holds anything. */
  expectIdle(): void {
    const left = this.findLeft();
    if (left !== undefined) throw new Error(left);
  }

  note(line: string): void {
    this.trace.note(this.timeline.nowMs, line);
  }

  private findLeft(): string | undefined {
    for (const [lane, events] of this.log.lanes.entries()) {
      const { progress, parked, cursors } = this.store.lane(lane);
      if (progress !== events.length) return `Lane ${lane} stands at ${progress}.`;
      if (cursors.size > 0) return `Lane ${lane} has ${cursors.size} cursors left.`;
      const rows = parked.all().length;
      if (rows > 0) return `Lane ${lane} has ${rows} rows left.`;
    }
    if (this.requests.waiting() > 0) return 'Somebody asked in vain.';
    for (const process of this.processes) {
      const left = process.findLeft();
      if (left !== undefined) return left;
    }
    return this.promises.findMissing();
  }

  private perform(pending: Pending): void {
    const { process, isAtServer = false } = pending;
    if (process === undefined) return pending.run();
    if (!process.isAlive && !isAtServer) return undefined;
    const isAwake = this.timeline.nowMs >= process.frozenUntilMs;
    const happens = isAtServer && this.dice('happens while asleep') < HAPPENS_RATE;
    if (isAwake || happens) return pending.run();
    process.postponed.push(pending);
    return undefined;
  }

  /** What came while it slept happens at once, in order. */
  private wake(process: SimulatedProcess, sleptMs: number): void {
    if (this.timeline.nowMs < process.frozenUntilMs) return;
    if (sleptMs > LEASE_MS) this.races.count('frozen');
    for (const pending of process.postponed.splice(0)) {
      if (process.isAlive || pending.isAtServer === true) pending.run();
    }
  }

  private startProcess(place: number): void {
    this.started += 1;
    const process = new SimulatedProcess(`p${this.started}`, this, {
      carryOut: (of, effect) => {
        if (effect.kind === 'send') this.sends += 1;
        this.shell.carryOut(of, effect);
      },
      wakeReader: (of) => this.shell.wakeReader(of),
      died: (of) => this.died(of),
    });
    this.processes[place] = process;
    this.note(`${process.name} starts`);
    this.watch.begin(process);
    this.leases.join(process);
    this.requests.poll(process);
  }

  private died(process: SimulatedProcess): void {
    if (!process.isAlive) return;
    this.note(`${process.name} dies`);
    const place = this.processes.indexOf(process);
    process.die();
    const isKept = ({ isAtServer = false }: Pending): boolean => {
      return isAtServer && this.dice('happens all the same') < HAPPENS_RATE;
    };
    this.timeline.drop(process, isKept);
    process.postponed = process.postponed.filter(isKept);
    this.startProcess(place);
  }

  private awaitStop(process: SimulatedProcess, untilMs: number): void {
    const { lanes, inFlight } = process.usage();
    const isDone = lanes === 0 && inFlight === 0 && process.answersLeft === 0;
    if (isDone || this.timeline.nowMs >= untilMs) return this.died(process);
    const run = (): void => this.awaitStop(process, untilMs);
    return this.timeline.later(STOP_CHECK_EVERY_MS, { process, run });
  }

  private changed(change: SetChange): void {
    const state = change.subscriber?.view.state ?? 'unregistered';
    this.note(`${change.endpointId} is ${state} at revision ${change.revision}`);
    for (const process of this.processes) this.watch.changed(process, change);
  }

  /** Disables an endpoint for a while. */
  private disable(endpointId: string): void {
    this.changeEndpoint(endpointId, { state: 'disabled' });
    this.timeline.later(DISABLED_MS, {
      process: undefined,
      run: () => {
        const state = this.endpoints.get(endpointId)?.view.state;
        if (state === 'disabled') this.changeEndpoint(endpointId, { state: 'active' });
      },
    });
  }

  /** Counts whether one of several subscriptions goes of which rows wait. */
  private countWent(endpointId: string, names: readonly string[]): void {
    const before = this.endpoints.get(endpointId);
    if (before === undefined || before.subscriptions.size < 2 || names.length === 0) return;
    const gone = [...before.subscriptions.keys()].filter((name) => !names.includes(name));
    const rows = [...this.log.lanes.keys()].flatMap((lane) => this.store.rowsOf(lane, endpointId));
    if (rows.some(({ event }) => gone.includes(event.type))) this.races.count('subscriptionWent');
  }

  private pick(count: number): number {
    return Math.floor(this.dice('pick') * count);
  }
}

/** What an endpoint is like when nothing holds it up. */
const MENDED: Partial<EndpointView> = {
  state: 'active',
  rateLimitPerSecond: undefined,
  maxInFlight: undefined,
  circuitFailures: undefined,
  circuitLongestWaitMs: undefined,
};

/** Some share a tenant or an origin, and one has a limit of its own. */
function viewOf(endpointId: string): EndpointView {
  const number = Number(endpointId.slice(-1));
  return {
    endpointId,
    tenant: number % 2 === 0 ? 'even' : 'odd',
    url: `http://host-${number % 3}/${endpointId}`,
    origin: `http://host-${number % 3}`,
    state: 'active',
    rateLimitPerSecond: number === 2 ? 50 : undefined,
    maxInFlight: number === 3 ? 2 : undefined,
  };
}
