import type { Amount } from './money.ts';

/**
 * What happened to an invoice. `null` means "none": no due date, no description.
 *
 *     created (pending) -> updated* -> paid
 *
 * A paid invoice changes no more. The currency never changes.
 */
export type InvoiceEvent = InvoiceCreated | InvoiceUpdated | InvoicePaid;

export interface InvoiceCreated {
  readonly type: 'invoice_created';
  readonly amount: Amount;
  readonly dueAtMs: number | null;
  readonly description: string | null;
}

export interface InvoiceUpdated {
  readonly type: 'invoice_updated';
  readonly changes: InvoiceChanges;
}

export interface InvoicePaid {
  readonly type: 'invoice_paid';
  readonly amountReceived: Amount;
  readonly paidAtMs: number;
}

/** New values of the fields that are there; a field set to `null` is cleared. */
export interface InvoiceChanges {
  readonly amount?: Amount;
  readonly dueAtMs?: number | null;
  readonly description?: string | null;
}

/** An invoice as its events left it. */
export type Invoice = OpenInvoice | PaidInvoice;

export interface OpenInvoice extends InvoiceFacts {
  readonly status: 'pending' | 'updated';
}

export interface PaidInvoice extends InvoiceFacts {
  readonly status: 'paid';
  readonly amountReceived: Amount;
  readonly paidAtMs: number;
}

export type InvoiceStatus = Invoice['status'];

interface InvoiceFacts extends InvoiceKey {
  /** The number of its last event: 1, 2, 3, … */
  readonly version: number;
  readonly amount: Amount;
  readonly dueAtMs: number | null;
  readonly description: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** Whose invoice, and which. */
export interface InvoiceKey {
  readonly tenant: string;
  readonly invoiceId: string;
}

/** An event with the invoice that it belongs to and the time at which it was recorded. */
export interface RecordedChange extends InvoiceKey {
  readonly recordedAtMs: number;
  readonly event: InvoiceEvent;
}

/**
 * The invoice after one more event.
 *
 * @param invoice as the events before left it; undefined before the first.
 * @throws if the event cannot follow: the history is broken then.
 */
export function evolve(invoice: Invoice | undefined, change: RecordedChange): Invoice {
  const { event, recordedAtMs } = change;
  if (event.type === 'invoice_created') {
    if (invoice !== undefined) {
      throw brokenHistory(change, `after version ${invoice.version}`);
    }
    return created(change, event);
  }
  if (invoice === undefined || invoice.status === 'paid') {
    throw brokenHistory(change, invoice === undefined ? 'as the first event' : 'after its payment');
  }
  const version = invoice.version + 1;
  switch (event.type) {
    case 'invoice_updated':
      return {
        ...invoice,
        ...event.changes,
        status: 'updated',
        version,
        updatedAtMs: recordedAtMs,
      };
    case 'invoice_paid': {
      const { amountReceived, paidAtMs } = event;
      const facts: InvoiceFacts = { ...invoice, version, updatedAtMs: recordedAtMs };
      return { ...facts, status: 'paid', amountReceived, paidAtMs };
    }
  }
}

/** The text by which a caller names the version of an invoice that it has seen. */
export function etagOf(invoice: Invoice): string {
  return String(invoice.version);
}

function created(change: RecordedChange, event: InvoiceCreated): Invoice {
  return {
    tenant: change.tenant,
    invoiceId: change.invoiceId,
    status: 'pending',
    version: 1,
    amount: event.amount,
    dueAtMs: event.dueAtMs,
    description: event.description,
    createdAtMs: change.recordedAtMs,
    updatedAtMs: change.recordedAtMs,
  };
}

function brokenHistory(change: RecordedChange, where: string): Error {
  const { tenant, invoiceId, event } = change;
  return new Error(`Invoice ${tenant}/${invoiceId} cannot have ${event.type} ${where}`);
}
