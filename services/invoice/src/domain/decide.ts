import { invalidField, ServiceError } from '@billhook/runtime';
import { etagOf } from './invoice.ts';
import { sameAmount } from './money.ts';
import type { Invoice, InvoiceChanges, InvoiceEvent, OpenInvoice } from './invoice.ts';
import type { Amount } from './money.ts';

/** What a caller wants done with one invoice, with fields that are valid by themselves. */
export type InvoiceCommand = CreateInvoice | UpdateInvoice | PayInvoice;

export interface CreateInvoice {
  readonly kind: 'create';
  readonly amount: Amount;
  readonly dueAtMs: number | null;
  readonly description: string | null;
}

export interface UpdateInvoice {
  readonly kind: 'update';
  readonly changes: InvoiceChanges;
  /** The version the caller has seen; "" means "whatever the version". */
  readonly etag: string;
}

export interface PayInvoice {
  readonly kind: 'pay';
  readonly amountReceived: Amount;
  /** `null` means "when it is recorded". */
  readonly paidAtMs: number | null;
  readonly etag: string;
}

export type InvoiceDecision =
  | { readonly kind: 'accepted'; readonly events: readonly InvoiceEvent[] }
  | { readonly kind: 'refused'; readonly error: ServiceError };

/** Where a command meets its invoice: what is there now, and the time it would be recorded at. */
export interface InvoiceSituation {
  readonly invoiceId: string;
  readonly invoice: Invoice | undefined;
  readonly recordedAtMs: number;
}

/**
 * What happens if the command is carried out now.
 *
 * The checks come in this order: the invoice exists, the etag is current, the state allows it, the
 * fields fit the invoice.
 *
 * @returns the events (none for an update that changes nothing), or the refusal.
 */
export function decide(command: InvoiceCommand, situation: InvoiceSituation): InvoiceDecision {
  const { invoiceId, invoice } = situation;
  if (command.kind === 'create') {
    return invoice === undefined ? accepted(creation(command)) : refused(alreadyExists(invoiceId));
  }
  if (invoice === undefined) {
    return refused(invoiceNotFound(invoiceId));
  }
  if (command.etag !== '' && command.etag !== etagOf(invoice)) {
    return refused(staleEtag(invoice));
  }
  if (invoice.status === 'paid') {
    return refused(alreadyPaid(invoiceId));
  }
  switch (command.kind) {
    case 'update':
      return decideUpdate(command, invoice);
    case 'pay':
      return decidePayment(command, invoice, situation.recordedAtMs);
  }
}

/** The refusal of a call that names an invoice which is not there. */
export function invoiceNotFound(invoiceId: string): ServiceError {
  const message = `There is no invoice ${invoiceId}. Check invoice_id and the tenant.`;
  return new ServiceError('NOT_FOUND', 'INVOICE_NOT_FOUND', message);
}

function decideUpdate(command: UpdateInvoice, invoice: OpenInvoice): InvoiceDecision {
  const { changes } = command;
  if (changes.amount !== undefined && changes.amount.currency !== invoice.amount.currency) {
    return refused(otherCurrency('amount', invoice));
  }
  const real = realChanges(changes, invoice);
  return Object.keys(real).length === 0
    ? { kind: 'accepted', events: [] }
    : accepted({ type: 'invoice_updated', changes: real });
}

function decidePayment(
  command: PayInvoice,
  invoice: OpenInvoice,
  recordedAtMs: number,
): InvoiceDecision {
  const { amountReceived } = command;
  if (amountReceived.currency !== invoice.amount.currency) {
    return refused(otherCurrency('amount_received', invoice));
  }
  const paidAtMs = command.paidAtMs ?? recordedAtMs;
  return accepted({ type: 'invoice_paid', amountReceived, paidAtMs });
}

function creation(command: CreateInvoice): InvoiceEvent {
  const { amount, dueAtMs, description } = command;
  return { type: 'invoice_created', amount, dueAtMs, description };
}

/** Only those changes that give a field another value than it has. */
function realChanges(changes: InvoiceChanges, invoice: OpenInvoice): InvoiceChanges {
  const { amount, dueAtMs, description } = changes;
  return {
    ...(amount === undefined || sameAmount(amount, invoice.amount) ? {} : { amount }),
    ...(dueAtMs === undefined || dueAtMs === invoice.dueAtMs ? {} : { dueAtMs }),
    ...(description === undefined || description === invoice.description ? {} : { description }),
  };
}

function accepted(event: InvoiceEvent): InvoiceDecision {
  return { kind: 'accepted', events: [event] };
}

function refused(error: ServiceError): InvoiceDecision {
  return { kind: 'refused', error };
}

function alreadyExists(invoiceId: string): ServiceError {
  const message = `Invoice ${invoiceId} exists already. Create it under another invoice_id.`;
  return new ServiceError('ALREADY_EXISTS', 'INVOICE_EXISTS', message);
}

function staleEtag(invoice: Invoice): ServiceError {
  const message =
    `Invoice ${invoice.invoiceId} has the etag ${etagOf(invoice)} by now. ` +
    'Read it again, and repeat the change with the new etag.';
  return new ServiceError('ABORTED', 'ETAG_MISMATCH', message);
}

function alreadyPaid(invoiceId: string): ServiceError {
  const message = `Invoice ${invoiceId} is paid, and a paid invoice changes no more.`;
  return new ServiceError('FAILED_PRECONDITION', 'INVOICE_PAID', message);
}

function otherCurrency(field: 'amount' | 'amount_received', invoice: Invoice): ServiceError {
  const { currency } = invoice.amount;
  return invalidField(
    `${field}.currency_code`,
    'CURRENCY_MISMATCH',
    `must be ${currency}: the currency of an invoice never changes`,
  );
}
