import { laneOf } from '@billhook/event-store';
import type { Duplicate, Findings } from '../kills/audit.ts';
import type { LaneMove } from './lane-moves.ts';
import { kindOf } from './plan.ts';
import type { FaultAction, Target } from './plan.ts';
import type { Struck } from './strike.ts';

/** A fault with what came of it. */
export interface Aftermath extends Struck {
  /** When a quick round through all lanes had been seen again; undefined if none was in time. */
  readonly normalAtMs: number | undefined;
  /** How long delivery was not normal, from the beginning of the fault. */
  readonly timeToNormalMs: number;
}

/** What came twice, by the fault that explains it. */
export interface Explanation {
  readonly byFault: ReadonlyMap<Aftermath, readonly Duplicate[]>;
  readonly unexplained: readonly Duplicate[];
}

/**
 * Who may cause duplicates: a dispatcher that was killed or frozen had sent what it had not recorded, and
 * what was to be recorded when Postgres went away is recorded by nobody. Whatever else happens, and
 * whoever else comes, goes or dies, nothing is sent twice.
 */
const MAY_DUPLICATE: ReadonlySet<string> = new Set(
  (
    [
      ['kill', 'dispatcher'],
      ['freeze', 'dispatcher'],
      ['freeze-inside', 'dispatcher'],
      ['kill', 'postgres'],
      ['freeze', 'postgres'],
    ] satisfies (readonly [FaultAction, Target])[]
  ).map(([action, target]) => kindOf({ action, target })),
);

/** What was sent before a fault may be accepted a moment after it began. */
const ON_ITS_WAY_MS = 500;

/** What was accepted so long before a fault is recorded: the recorder is a second behind, or busy. */
const RECORDED_AFTER_MS = 5_000;

/** A lane that a fault takes from its owner has another one soon after delivery is normal again. */
const MOVED_WITHIN_MS = 15_000;

/**
 * Explains duplicates. A fault explains one if it may cause any, the event was accepted shortly before
 * it or while delivery was not normal again, its lane then went to another owner because of the fault,
 * and it came again after that. When it came again says nothing: what is lost of a failing endpoint
 * stands behind all else that waits for it.
 */
export function explain(
  duplicates: readonly Duplicate[],
  evidence: {
    readonly faults: readonly Aftermath[];
    readonly moves: readonly LaneMove[];
    readonly lanes: number;
    readonly tenant: string;
  },
): Explanation {
  const byFault = new Map<Aftermath, Duplicate[]>();
  const unexplained: Duplicate[] = [];
  const culprits = evidence.faults.filter(({ fault }) => MAY_DUPLICATE.has(kindOf(fault)));
  for (const duplicate of duplicates) {
    const { acceptedAtMs, repeatedAtMs } = duplicate;
    const lane = laneOf(evidence.tenant, duplicate.invoiceId, evidence.lanes);
    const moves = evidence.moves.filter(
      (move) => move.lane === lane && move.seenAtMs >= acceptedAtMs && move.afterMs <= repeatedAtMs,
    );
    const culprit = culprits.find(
      ({ beganAtMs, normalAtMs = Infinity }) =>
        beganAtMs - RECORDED_AFTER_MS <= acceptedAtMs &&
        normalAtMs + ON_ITS_WAY_MS >= acceptedAtMs &&
        beganAtMs <= repeatedAtMs &&
        moves.some(({ afterMs }) => afterMs <= normalAtMs + MOVED_WITHIN_MS),
    );
    if (culprit === undefined) unexplained.push(duplicate);
    else byFault.set(culprit, [...(byFault.get(culprit) ?? []), duplicate]);
  }
  return { byFault, unexplained };
}

/** Everything that a run has shown. */
export interface Evidence {
  /** How many there are. */
  readonly endpoints: number;
  readonly findings: Findings;
  readonly explanation: Explanation;
  /** Deliveries that were sent again although they were recorded as delivered. */
  readonly resent: readonly string[];
  readonly faults: readonly Aftermath[];
  /** Acknowledged events that the topic does not hold at the end. */
  readonly missingInKafka: readonly string[];
  readonly refusals: readonly string[];
  /** Copies that ended although nobody ended them. */
  readonly lost: readonly string[];
  /** Exit code of the last stop. */
  readonly exitCode: number | undefined;
}

/** As the load of a run is: eight clients, each ten times a second at most. */
const MOST_EVENTS_PER_SECOND = 80;

/**
 * A bound of G2 in numbers, beside what the delivery log says: a fault can catch what is in flight (at most
 * 64 to an endpoint, `maxInFlightPerEndpoint`) and what came before it within the time in which that is recorded.
 */
const MOST_DUPLICATES_PER_FAULT_AND_ENDPOINT =
  64 + (MOST_EVENTS_PER_SECOND * RECORDED_AFTER_MS) / 1_000;

const SHOWN = 10;

/** Says what is wrong, in sentences. Nothing is if there are none. */
export function judge(evidence: Evidence): readonly string[] {
  const { findings, explanation, faults, endpoints } = evidence;
  const mostDuplicates = MOST_DUPLICATES_PER_FAULT_AND_ENDPOINT * endpoints;
  const tooMany = [...explanation.byFault]
    .filter(([, { length }]) => length > mostDuplicates)
    .map(([{ fault }, { length }]) => `${describe(fault)}: ${length}`);
  const neverNormal = faults.filter(({ normalAtMs }) => normalAtMs === undefined);
  const badStops = faults.filter(
    ({ fault, exitCode }) =>
      (fault.action === 'leave' || fault.action === 'restart') && exitCode !== 0,
  );
  return [
    complaint('events are missing at an endpoint', findings.missing),
    complaint('events are missing in Kafka', evidence.missingInKafka),
    complaint('events came before an earlier one was accepted', findings.reordered),
    complaint('events came again with another id or body', findings.differing),
    complaint('no fault explains these duplicates', explanation.unexplained.map(show)),
    complaint(`more than ${mostDuplicates} duplicates came of a fault`, tooMany),
    complaint('deliveries were sent again after they had been recorded', evidence.resent),
    complaint('delivery was not normal again in time after', neverNormal.map(nameOfFault)),
    complaint('mutations were refused', evidence.refusals),
    complaint('copies ended by themselves', evidence.lost),
    complaint('copies did not end with 0', badStops.map(nameOfFault)),
    evidence.exitCode === 0 ? [] : [`the last stop ended with ${evidence.exitCode}`],
  ].flat();
}

function complaint(what: string, found: readonly string[]): readonly string[] {
  if (found.length === 0) return [];
  const more = found.length > SHOWN ? [`... and ${found.length - SHOWN} more`] : [];
  return [`${what} (${found.length}): ${[...found.slice(0, SHOWN), ...more].join(', ')}`];
}

function show({ delivery, acceptedAtMs, repeatedAtMs }: Duplicate): string {
  return `${delivery} at ${new Date(repeatedAtMs).toISOString()} after ${repeatedAtMs - acceptedAtMs} ms`;
}

function nameOfFault({ fault, exitCode }: Aftermath): string {
  return exitCode === undefined ? describe(fault) : `${describe(fault)} (${exitCode})`;
}

/** `kill invoice-2`. */
export function describe({
  action,
  victim,
}: Pick<Aftermath['fault'], 'action' | 'victim'>): string {
  return `${action} ${victim}`;
}
