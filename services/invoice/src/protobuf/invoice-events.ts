import { invoiceEventsV1 } from '@billhook/contracts';
import { formatMoney, parseMoney } from '../domain/money.ts';
import { readTimestampMs, writeTimestampMs } from '@billhook/contracts';
import type { Money, Timestamp } from '@billhook/contracts';
import type { InvoiceChanges, InvoiceEvent } from '../domain/invoice.ts';
import type { Amount } from '../domain/money.ts';

type EventMessage = invoiceEventsV1.InvoiceEvent;
type Change = NonNullable<EventMessage['change']>;

/** The bytes of an event as they are stored for ever. The same event always gives the same bytes. */
export function encodeInvoiceEvent(event: InvoiceEvent): Uint8Array {
  return invoiceEventsV1.InvoiceEvent.encode({ change: toChange(event) }).finish();
}

/**
 * Reads a stored event.
 *
 * @throws if the bytes are no event that this service has written.
 */
export function decodeInvoiceEvent(data: Uint8Array): InvoiceEvent {
  const { change } = readInvoiceEventMessage(data);
  switch (change?.$case) {
    case 'created': {
      const { amount, dueDate, description } = change.value;
      return {
        type: 'invoice_created',
        amount: amountOf(amount),
        dueAtMs: dueDate === undefined ? null : timeOf(dueDate),
        description: description ?? null,
      };
    }
    case 'updated':
      return { type: 'invoice_updated', changes: changesOf(change.value) };
    case 'paid': {
      const { amountReceived, paidAt } = change.value;
      return {
        type: 'invoice_paid',
        amountReceived: amountOf(amountReceived),
        paidAtMs: timeOf(paidAt),
      };
    }
    case undefined:
      throw new Error('A stored event is of a kind that this version does not know');
  }
}

/** Reads the message of a stored event, as callers get it. */
export function readInvoiceEventMessage(data: Uint8Array): EventMessage {
  return invoiceEventsV1.InvoiceEvent.decode(data);
}

function toChange(event: InvoiceEvent): Change {
  switch (event.type) {
    case 'invoice_created': {
      const { amount, dueAtMs, description } = event;
      return {
        $case: 'created',
        value: {
          amount: formatMoney(amount),
          dueDate: dueAtMs === null ? undefined : writeTimestampMs(dueAtMs),
          description: description ?? undefined,
        },
      };
    }
    case 'invoice_updated':
      return { $case: 'updated', value: toUpdated(event.changes) };
    case 'invoice_paid': {
      const { amountReceived, paidAtMs } = event;
      return {
        $case: 'paid',
        value: { amountReceived: formatMoney(amountReceived), paidAt: writeTimestampMs(paidAtMs) },
      };
    }
  }
}

/** Names the changed fields in the order of their numbers, so that the bytes are always the same. */
function toUpdated(changes: InvoiceChanges): invoiceEventsV1.InvoiceUpdated {
  const { amount, dueAtMs, description } = changes;
  return {
    changedFields: [
      ...(amount === undefined ? [] : ['amount']),
      ...(dueAtMs === undefined ? [] : ['due_date']),
      ...(description === undefined ? [] : ['description']),
    ],
    amount: amount === undefined ? undefined : formatMoney(amount),
    dueDate: dueAtMs === undefined || dueAtMs === null ? undefined : writeTimestampMs(dueAtMs),
    description: description ?? undefined,
  };
}

function changesOf(message: invoiceEventsV1.InvoiceUpdated): InvoiceChanges {
  const { changedFields = [], amount, dueDate, description } = message;
  const dueAtMs = dueDate === undefined ? null : timeOf(dueDate);
  return {
    ...(changedFields.includes('amount') ? { amount: amountOf(amount) } : {}),
    ...(changedFields.includes('due_date') ? { dueAtMs } : {}),
    ...(changedFields.includes('description') ? { description: description ?? null } : {}),
  };
}

function amountOf(money: Money | undefined): Amount {
  const parsed = money === undefined ? undefined : parseMoney(money);
  if (parsed?.kind !== 'amount') {
    throw new Error('A stored event holds an amount that is none');
  }
  return parsed.amount;
}

function timeOf(timestamp: Timestamp | undefined): number {
  const timeMs = timestamp === undefined ? undefined : readTimestampMs(timestamp);
  if (timeMs === undefined) {
    throw new Error('A stored event holds a time that is none');
  }
  return timeMs;
}
