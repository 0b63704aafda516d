import type { LogEvent } from '../../delivery.ts';
import type { EventMark } from '../../lane-window.ts';

/** An event as somebody appends it. */
export interface Appended {
  readonly lane: number;
  readonly invoiceId: string;
  readonly sequence: number;
  readonly bodyBytes?: number;
}

/** Large enough for any body. */
const BODY = Buffer.alloc(65_536, ' ');

/** The type of an invoice's event: the first one creates it. */
function typeOf(sequence: number): string {
  if (sequence === 1) return 'invoice_created';
  return sequence % 2 === 1 ? 'invoice_updated' : 'invoice_paid';
}

/** The events of all lanes. */
export class SimulatedLog {
  readonly lanes: readonly LogEvent[][];
  private readonly invoices = new Map<string, LogEvent[]>();

  constructor(lanes: number) {
    this.lanes = Array.from({ length: lanes }, () => []);
  }

  append({ lane, invoiceId, sequence, bodyBytes = 2 }: Appended, nowMs: number): LogEvent {
    const events = this.eventsOf(lane);
    const position = events.length + 1;
    const event = {
      lane,
      position,
      id: `evt_${lane}_${position}`,
      tenant: 'default',
      invoiceId,
      sequence,
      type: typeOf(sequence),
      recordedAtMs: nowMs,
      traceparent: undefined,
      offset: position + 100,
      body: BODY.subarray(0, bodyBytes),
    };
    events.push(event);
    const known = this.invoices.get(invoiceId);
    if (known === undefined) this.invoices.set(invoiceId, [event]);
    else known.push(event);
    return event;
  }

  eventsOf(lane: number): LogEvent[] {
    const events = this.lanes[lane];
    if (events === undefined) throw new Error(`There is no lane ${lane}.`);
    return events;
  }

  /** How many events an invoice has. */
  countOf(invoiceId: string): number {
    return this.invoices.get(invoiceId)?.length ?? 0;
  }

  /** The event of an invoice with a number. */
  find(invoiceId: string, sequence: number): LogEvent {
    const event = this.invoices.get(invoiceId)?.[sequence - 1];
    if (event === undefined) throw new Error(`${invoiceId} has no event ${sequence}.`);
    return event;
  }

  read(
    { lane, after, mark }: { lane: number; after: number; mark: EventMark | undefined },
    limit: number,
  ): LogEvent[] {
    this.checkMark(lane, after, mark);
    return this.eventsOf(lane).slice(after, after + limit);
  }

  /** Checks that it is known which event stands at a position. */
  checkMark(lane: number, position: number, mark: EventMark | undefined): void {
    const event = this.eventsOf(lane)[position - 1];
    if (mark?.id !== event?.id || mark?.offset !== event?.offset) {
      throw new Error(`At ${lane}:${position} stands ${event?.id}, not ${mark?.id}.`);
    }
  }
}
