import type { Repeats } from '../checks/repeats.ts';
import type { AttemptOutcome, Delivery } from '../../delivery.ts';
import type { Dice } from '../random.ts';
import { deliveryKey } from './store.ts';

/** How a receiver answers. Rates are shares of 1; what is left is taken at once. */
export interface Manners {
  /** It cannot be reached, or answers 500. */
  readonly failureRate: number;
  /** It does not answer in time. */
  readonly hangRate: number;
  /** It takes the delivery, and its answer gets lost. */
  readonly deafRate: number;
  /** It has too much to do (429, 503), and says when to come again. */
  readonly overloadRate: number;
  /** It takes this delivery never (400). */
  readonly judgedRate: number;
  /** Answers 410; the endpoint is enabled again a little later. */
  readonly goneRate: number;
  /** Answers that take as long as they may. */
  readonly slowRate: number;
  /** How long other answers take at most. */
  readonly answerMs?: number;
  /** For so long all goes as said above, and then for as long everything fails. */
  readonly flapMs?: number;
}

/** An answer, and when it comes. */
export interface SimulatedAnswer {
  readonly outcome: AttemptOutcome;
  readonly afterMs: number;
}

/** The moment of a send. */
export interface SendTime {
  readonly trueMs: number;
  /** Of the sender. */
  readonly wallMs: number;
}

const ANSWER_MS = 20;
/** How long after its deadline a sender may notice that it is over. */
const LATE_MS = 500;
const RETRY_AFTER_MS = 5_000;

/** The receivers behind all endpoints. */
export class Receivers {
  /** First successes of what is kept in order, by pair. */
  readonly received = new Map<string, number[]>();
  /** Every success. */
  readonly delivered = new Set<string>();
  /** Deliveries that were answered with 410: that uses up no attempt. */
  readonly gone = new Set<string>();
  /** Successes of what was a success before. */
  repeats = 0;
  /** Those that behave in their own way. */
  readonly manners = new Map<string, Manners>();
  private readonly dice: Dice;
  private readonly counted: Repeats;
  private readonly deadlineMs: number;

  constructor(dice: Dice, counted: Repeats, deadlineMs: number) {
    this.dice = dice;
    this.counted = counted;
    this.deadlineMs = deadlineMs;
  }

  /** A receiver sees the request at once; only its answer is late. */
  answer(delivery: Delivery, usual: Manners, { trueMs, wallMs }: SendTime): SimulatedAnswer {
    const { event, endpointLane } = delivery;
    const endpointId = endpointLane.endpoint.id;
    const manners = this.manners.get(endpointId) ?? usual;
    const roll = () => this.dice(`${endpointId} ${event.lane}:${event.position}`);
    const usualMs = roll() * (manners.answerMs ?? ANSWER_MS);
    const isDown = manners.flapMs !== undefined && Math.floor(trueMs / manners.flapMs) % 2 === 1;
    const kind = isDown ? 'fails' : kindOf(manners, roll());
    const status = roll();
    switch (kind) {
      case 'fails':
        return status < 0.5 ? rejected(500, usualMs) : unreachable(usualMs);
      case 'judged':
        return rejected(400, usualMs);
      case 'gone':
        this.gone.add(deliveryKey(endpointId, event.lane, event.position));
        return rejected(410, usualMs);
      case 'overloaded': {
        const retryAfterMs = wallMs + roll() * RETRY_AFTER_MS;
        return rejected(status < 0.5 ? 429 : 503, usualMs, retryAfterMs);
      }
      case 'hangs':
        return unreachable(this.deadlineMs + roll() * LATE_MS);
      case 'deaf':
        this.receive(delivery);
        this.counted.allow();
        return unreachable(this.deadlineMs + roll() * LATE_MS);
      case 'slow':
        this.receive(delivery);
        return delivered(this.deadlineMs);
      case 'takes':
        this.receive(delivery);
        return delivered(usualMs);
    }
  }

  private receive({ event, endpointLane, ordered }: Delivery): void {
    const endpointId = endpointLane.endpoint.id;
    const key = deliveryKey(endpointId, event.lane, event.position);
    const isFirst = !this.delivered.has(key);
    if (!isFirst) this.repeats += 1;
    if (!isFirst && ordered) this.counted.see();
    this.delivered.add(key);
    if (!ordered || !isFirst) return;
    const pair = `${endpointId} ${event.invoiceId}`;
    const sequences = this.received.get(pair) ?? [];
    sequences.push(event.sequence);
    this.received.set(pair, sequences);
  }
}

type AnswerKind = 'takes' | 'fails' | 'hangs' | 'deaf' | 'overloaded' | 'judged' | 'gone' | 'slow';

function kindOf(manners: Manners, roll: number): AnswerKind {
  const shares: readonly (readonly [AnswerKind, number])[] = [
    ['gone', manners.goneRate],
    ['hangs', manners.hangRate],
    ['deaf', manners.deafRate],
    ['overloaded', manners.overloadRate],
    ['judged', manners.judgedRate],
    ['fails', manners.failureRate],
    ['slow', manners.slowRate],
  ];
  let upTo = 0;
  for (const [kind, share] of shares) {
    upTo += share;
    if (roll < upTo) return kind;
  }
  return 'takes';
}

function delivered(afterMs: number): SimulatedAnswer {
  return { afterMs, outcome: { kind: 'delivered', status: 204, durationMs: afterMs } };
}

function unreachable(afterMs: number): SimulatedAnswer {
  const detail = 'simulated';
  return { afterMs, outcome: { kind: 'unreachable', durationMs: afterMs, detail } };
}

function rejected(status: number, afterMs: number, retryAfterMs?: number): SimulatedAnswer {
  const outcome = { kind: 'rejected', status, durationMs: afterMs, retryAfterMs } as const;
  return { afterMs, outcome: { ...outcome, snippet: '' } };
}
