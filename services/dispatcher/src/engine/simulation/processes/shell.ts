import type { Delivery } from '../../delivery.ts';
import type { Claim, Effect, LateAnswer, Refill, RowSearch } from '../../effect.ts';
import type { LaneRecorded, LaneRecording, Recording } from '../../recording.ts';
import type { SimulatedLeases } from './leases.ts';
import { SMALL_LIMITS, type SimulatedProcess } from './process.ts';
import type { Promises } from '../checks/promises.ts';
import type { SimulatedReports } from './reports.ts';
import type { SimulatedRequests } from './requests.ts';
import type { Surroundings } from '../surroundings.ts';
import type { SimulatedWatch } from './watch.ts';
import { checkListed, checkRowBounds } from '../checks/bounds.ts';

const RECORD_MS = 30;
const STATEMENT_MS = 20;
const REPLY_MS = 10;
const READ_MS = 5;
/** A reader looks again so long after it found nothing to read, or no room. */
const READ_AGAIN_MS = 10;
const REFILL_AGAIN_MS = 250;
const REPEAT_MS = 1_000;
const ANSWER_TWICE_RATE = 0.2;

/** What becomes of a recording. */
export type CommitManner = 'fine' | 'unheard' | 'refused' | 'repeated';

export interface ShellParts {
  readonly leases: SimulatedLeases;
  readonly watch: SimulatedWatch;
  readonly promises: Promises;
  readonly requests: SimulatedRequests;
  readonly reports: SimulatedReports;
}

/** Carries out what engines want, as `dispatching/` does: everything is answered later, in any order. */
export class SimulatedShell {
  /** What becomes of the next recording of a process. */
  readonly nextCommits = new Map<SimulatedProcess, CommitManner>();
  private readonly around: Surroundings;
  private readonly parts: ShellParts;

  constructor(around: Surroundings, parts: ShellParts) {
    this.around = around;
    this.parts = parts;
  }

  carryOut(process: SimulatedProcess, effect: Effect): void {
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
      case 'answered_late':
        return this.leaveAnswer(process, effect.answer);
      case 'lost':
        return this.parts.leases.refused(process, effect.lane, effect.epoch);
      case 'release':
        return this.parts.leases.release(process, effect.lane, effect.epoch);
      case 'report_gone':
        return this.parts.reports.report(process, effect.endpointId, effect.revision);
    }
  }

  /** Reads on, unless that is under way. */
  wakeReader(process: SimulatedProcess): void {
    if (process.isReading || process.isStopping) return;
    process.isReading = true;
    this.later(process, READ_AGAIN_MS, () => {
      process.isReading = false;
      this.read(process);
    });
  }

  private read(process: SimulatedProcess): void {
    const { log, weather } = this.around;
    const requests = process.readRequests();
    const wanted = requests.filter(({ lane, after }) => log.eventsOf(lane).length > after);
    // Whatever is appended, or makes room, wakes it.
    if (wanted.length === 0) return;
    process.isReading = true;
    this.later(process, READ_MS, () => {
      const slices = wanted.map((request) => {
        const limit = weather.readable(process.name, request.limit);
        return { request, events: log.read(request, limit) };
      });
      const brought = slices.filter(({ events }) => events.length > 0);
      if (brought.length === 0) {
        return this.later(process, REFILL_AGAIN_MS, () => this.endReading(process));
      }
      return this.parts.watch.awaitCurrent(process, () => {
        process.isReading = false;
        const matched = brought.map(({ request: { lane, epoch }, events }) => {
          const matching = events.map((event) => {
            return { event, endpoints: process.view.matching(event) };
          });
          return { lane, epoch, events: matching };
        });
        const read = brought.map(({ request: { lane, after }, events }) => {
          return `${lane}:${after}+${events.length}`;
        });
        process.input(`reads ${read.join(' ')}`, (engine, now) => engine.eventsRead(matched, now));
      });
    });
  }

  private endReading(process: SimulatedProcess): void {
    process.isReading = false;
    this.wakeReader(process);
  }

  private send(process: SimulatedProcess, delivery: Delivery): void {
    const { timeline, receivers, weather } = this.around;
    this.parts.promises.checkSend(process, delivery);
    const at = { trueMs: timeline.nowMs, wallMs: process.now().wallMs };
    const { outcome, afterMs } = receivers.answer(delivery, weather.behaviour, at);
    timeline.later(afterMs, { process, run: () => process.answer({ delivery, outcome }) });
  }

  private record(process: SimulatedProcess, recording: Recording): void {
    const manner = this.mannerOf(process);
    this.atStore(process, RECORD_MS, () => this.commit(process, recording, manner));
  }

  private mannerOf(process: SimulatedProcess): CommitManner {
    const next = this.nextCommits.get(process);
    this.nextCommits.delete(process);
    if (next !== undefined) return next;
    const { dice, weather } = this.around;
    if (dice(`commit ${process.name}`) >= weather.behaviour.refusedRecordingRate) return 'fine';
    return dice(`unheard ${process.name}`) < 0.5 ? 'unheard' : 'refused';
  }

  /** What happens at the database. */
  private commit(process: SimulatedProcess, recording: Recording, manner: CommitManner): void {
    const { races } = this.around;
    if (manner === 'repeated') {
      races.count('commitRepeated');
      const again = (): void => this.commit(process, recording, 'fine');
      return this.later(process, REPEAT_MS, () => this.atStore(process, RECORD_MS, again));
    }
    const written = manner === 'refused' ? [] : recording.lanes.map((each) => this.write(each));
    if (manner === 'unheard') races.count('commitUnheard');
    if (written.some(({ kind }) => kind === 'refused')) races.count('writeRefused');
    const results =
      manner === 'fine'
        ? written
        : recording.lanes.map(({ lane }): LaneRecorded => ({ kind: 'refused', lane }));
    const replyMs = this.around.weather.storeMs(process.name, REPLY_MS);
    const { timeline } = this.around;
    return timeline.later(replyMs, { process, run: () => process.recorded(recording, results) });
  }

  private write(written: LaneRecording): LaneRecorded {
    const { store, races, world } = this.around;
    const stored = store.lane(written.lane);
    const { progress } = stored;
    const cursors = new Set(stored.cursors.keys());
    const result = store.write(written);
    if (result.kind === 'refused') return result;
    for (const { endpointId, cursor } of written.movedCursors) {
      if (cursor === undefined) races.count('cursorEnded', cursors.has(endpointId) ? 1 : 0);
      else races.count(cursors.has(endpointId) ? 'cursorMoved' : 'cursorMade');
    }
    races.count('expired', result.expired.filter(({ rows }) => rows > 0).length);
    this.parts.promises.checkWritten(written, progress);
    const limits = { ...SMALL_LIMITS, ...world.limits };
    checkRowBounds(stored, limits);
    checkListed(result, limits);
    return result;
  }

  /** Rows are read at one moment, and are known at a later one. */
  private claim(process: SimulatedProcess, claims: readonly Claim[]): void {
    const { wallMs } = process.now();
    const asked = claims.map(({ endpointLane, limit }) => {
      const { endpoint, claimed } = endpointLane;
      return { endpointId: endpoint.id, limit, taken: new Set(claimed?.keys()) };
    });
    this.atStore(process, STATEMENT_MS, () => {
      const results = claims.map((claim, index) => {
        const search = asked[index];
        if (search === undefined) throw new Error('Each claim is asked for.');
        const { parked } = this.around.store.lane(claim.endpointLane.window.lane);
        return { claim, ...parked.readDue(search, wallMs) };
      });
      const rows = results.map((result) => result.rows.length);
      this.later(process, REPLY_MS, () => {
        process.input(`claims ${rows.join(' ')} rows`, (engine, now) => {
          engine.claimed(results, now);
        });
      });
    });
  }

  private find(process: SimulatedProcess, searches: readonly RowSearch[]): void {
    this.atStore(process, STATEMENT_MS, () => {
      const rows = searches.map((search) => {
        return { search, row: this.around.store.readAnswered(search.answer) };
      });
      this.later(process, REPLY_MS, () => {
        process.answeredLate(`finds ${rows.length} rows`, (engine, now) => {
          engine.found(rows, now);
        });
      });
    });
  }

  private refill(process: SimulatedProcess, refills: readonly Refill[]): void {
    const { log, weather } = this.around;
    this.later(process, READ_MS, () => {
      const read = refills.map((refill) => {
        const limit = weather.readable(process.name, refill.limit);
        return { refill, events: log.read(refill, limit) };
      });
      if (read.every(({ events }) => events.length === 0)) {
        const nothing = refills.map((refill) => ({ refill, events: [] }));
        return this.later(process, REFILL_AGAIN_MS, () => process.refilled(nothing));
      }
      return this.parts.watch.awaitCurrent(process, () => {
        process.refilled(
          read.map(({ refill, events }) => ({
            refill,
            events: events.map((event) => ({
              event,
              endpoints: process.view
                .matching(event)
                .filter(({ endpointId }) => refill.endpointIds.has(endpointId)),
            })),
          })),
        );
      });
    });
  }

  private leaveAnswer(process: SimulatedProcess, answer: LateAnswer): void {
    process.answersLeft += 1;
    const leave = (): void => this.parts.requests.leave(answer);
    // Nobody heard of the commit, and it is written again.
    if (this.around.dice(`answer twice ${process.name}`) < ANSWER_TWICE_RATE) {
      this.atStore(process, STATEMENT_MS, leave);
    }
    this.atStore(process, STATEMENT_MS, () => {
      leave();
      process.answersLeft -= 1;
    });
  }

  private atStore(process: SimulatedProcess, usualMs: number, run: () => void): void {
    const inMs = this.around.weather.storeMs(process.name, usualMs);
    this.around.timeline.later(inMs, { process, isAtServer: true, run });
  }

  private later(process: SimulatedProcess, mostMs: number, run: () => void): void {
    const inMs = mostMs * this.around.dice(`later ${process.name}`);
    this.around.timeline.later(inMs, { process, run });
  }
}
