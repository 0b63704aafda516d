import type { AttemptOutcome, Delivery, LogEvent } from '../delivery.ts';
import type { EndpointView } from '../endpoint.ts';
import { deliveryKey } from './store.ts';

/** How receivers answer. Rates are shares of 1. */
export interface AnswerRates {
  readonly failureRate: number;
  readonly hangRate: number;
  /** Answers 410; the endpoint is enabled again a little later. */
  readonly goneRate: number;
}

/** An answer, and whether it keeps its sender waiting beyond all deadlines. */
export interface SimulatedAnswer {
  readonly outcome: AttemptOutcome;
  readonly hangs: boolean;
}

export type Takes = (event: LogEvent) => boolean;

interface Subscriber {
  readonly view: EndpointView;
  /** Events before its registration are not for it. */
  readonly sinceMs: number;
  readonly takes: Takes;
}

/** The set of endpoints, and the receivers behind them. */
export class Subscribers {
  /** First successes of what is kept in order, by pair. */
  readonly received = new Map<string, number[]>();
  /** Every success. */
  readonly delivered = new Set<string>();
  /** Successes of what was a success before. */
  repeats = 0;
  private readonly endpoints = new Map<string, Subscriber>();
  private readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  endpointIds(): string[] {
    return [...this.endpoints.keys()];
  }

  view(endpointId: string): EndpointView | undefined {
    return this.endpoints.get(endpointId)?.view;
  }

  takes(endpointId: string): Takes | undefined {
    return this.endpoints.get(endpointId)?.takes;
  }

  set(view: EndpointView, takes: Takes, nowMs: number): void {
    const sinceMs = this.endpoints.get(view.endpointId)?.sinceMs ?? nowMs;
    this.endpoints.set(view.endpointId, { view, sinceMs, takes });
  }

  remove(endpointId: string): void {
    this.endpoints.delete(endpointId);
  }

  subscribes(endpointId: string, event: LogEvent): boolean {
    const endpoint = this.endpoints.get(endpointId);
    if (endpoint === undefined || endpoint.sinceMs > event.recordedAtMs) return false;
    return endpoint.takes(event);
  }

  matching(event: LogEvent): EndpointView[] {
    return [...this.endpoints.values()]
      .map(({ view }) => view)
      .filter(({ endpointId }) => this.subscribes(endpointId, event));
  }

  /** A receiver sees the request at once; only its answer is late. */
  answer(delivery: Delivery, rates: AnswerRates): SimulatedAnswer {
    const hangs = this.random() < rates.hangRate;
    if (!hangs && this.random() < rates.goneRate) {
      return { hangs, outcome: { kind: 'rejected', status: 410, durationMs: 1, snippet: '' } };
    }
    if (hangs || this.random() < rates.failureRate) {
      return { hangs, outcome: { kind: 'unreachable', durationMs: 1, detail: 'simulated' } };
    }
    this.receive(delivery);
    return { hangs, outcome: { kind: 'delivered', status: 204, durationMs: 1 } };
  }

  private receive({ event, endpointLane, ordered }: Delivery): void {
    const endpointId = endpointLane.endpoint.id;
    const key = deliveryKey(endpointId, event.lane, event.position);
    const isFirst = !this.delivered.has(key);
    if (!isFirst) this.repeats += 1;
    this.delivered.add(key);
    if (!ordered || !isFirst) return;
    const pair = `${endpointId} ${event.invoiceId}`;
    const sequences = this.received.get(pair) ?? [];
    sequences.push(event.sequence);
    this.received.set(pair, sequences);
  }
}
