import { invoiceEventsV1 } from '@billhook/contracts';
import { formatDecimal } from './decimal.ts';
import { formatTime, formatTimestamp } from './time.ts';
import { UnknownEventError } from './unknown-event-error.ts';

type Change = NonNullable<invoiceEventsV1.InvoiceEvent['change']>;

/** An event of an invoice, as the event log holds it. */
export interface InvoiceLogEvent {
  /** Such as `invoice_created`. */
  readonly type: string;
  /** The invoice. */
  readonly streamId: string;
  readonly recordedAtMs: number;
  /** A `billhook.invoice.events.v1.InvoiceEvent`. */
  readonly data: Uint8Array;
}

/** The body of a ping: signed like any other, and no event of an invoice. */
export const PING_BODY = Buffer.from('{"event":"ping","data":{}}');

/**
 * Renders the body that is POSTed for an event: version 1 of it. Its bytes are signed, kept and
 * compared by receivers, so the same event gives the same bytes for ever; golden bytes stand in the
 * test. Another rendering is another version, beside this one.
 *
 * @returns the bytes, made once per event and the same for every endpoint, attempt and replay.
 * @throws {UnknownEventError} if the event's type or content is not known.
 */
export function renderBody(event: InvoiceLogEvent): Buffer {
  const change = readChange(event.data);
  if (typeOf(change) !== event.type) {
    throw new UnknownEventError('UNKNOWN_TYPE', `No body is known for the type "${event.type}"`);
  }
  return Buffer.from(`{"event":"${event.type}","data":${renderData(event, change)}}`);
}

function readChange(data: Uint8Array): Change {
  const { change } = decode(data);
  if (change === undefined) {
    throw new UnknownEventError('UNKNOWN_TYPE', 'An event holds no change that is known here');
  }
  return change;
}

function decode(data: Uint8Array): invoiceEventsV1.InvoiceEvent {
  try {
    return invoiceEventsV1.InvoiceEvent.decode(data);
  } catch (cause) {
    throw new UnknownEventError('UNREADABLE', 'An event holds bytes that are no message', {
      cause,
    });
  }
}

function typeOf(change: Change): string {
  return `invoice_${change.$case}`;
}

function renderData(event: InvoiceLogEvent, change: Change): string {
  const invoiceId = JSON.stringify(event.streamId);
  switch (change.$case) {
    case 'created': {
      const amount = formatDecimal(present(change.value.amount));
      return `{"invoice_id":${invoiceId},"amount":${amount},"status":"pending"}`;
    }
    case 'updated': {
      const fields = renderUpdatedFields(change.value);
      const updatedAt = formatTime(event.recordedAtMs);
      return (
        `{"invoice_id":${invoiceId},"status":"updated",` +
        `"updated_fields":{${fields}},"updated_at":"${updatedAt}"}`
      );
    }
    case 'paid': {
      const received = present(change.value.amountReceived);
      const paidAt = formatTimestamp(present(change.value.paidAt));
      return (
        `{"invoice_id":${invoiceId},"status":"paid","amount_received":${formatDecimal(received)},` +
        `"currency":${JSON.stringify(received.currencyCode)},"paid_at":"${paidAt}"}`
      );
    }
  }
}

/** In this order, whatever the order of the names in the event. */
function renderUpdatedFields(updated: invoiceEventsV1.InvoiceUpdated): string {
  const names = updated.changedFields ?? [];
  const rendered: string[] = [];
  if (names.includes('amount')) rendered.push(`"amount":${formatDecimal(present(updated.amount))}`);
  if (names.includes('due_date')) rendered.push(`"due_date":${renderDueDate(updated)}`);
  if (names.includes('description')) {
    rendered.push(`"description":${JSON.stringify(updated.description ?? null)}`);
  }
  if (rendered.length !== names.length) {
    throw new UnknownEventError('UNREADABLE', 'An event changes a field that is not known here');
  }
  return rendered.join(',');
}

function renderDueDate({ dueDate }: invoiceEventsV1.InvoiceUpdated): string {
  return dueDate === undefined ? 'null' : `"${formatTimestamp(dueDate)}"`;
}

function present<Value>(value: Value | undefined): Value {
  if (value === undefined) {
    throw new UnknownEventError('UNREADABLE', 'An event lacks a field that it cannot be without');
  }
  return value;
}
