import { invoiceV1 } from '@billhook/contracts';
import { decide } from '../domain/decide.ts';
import { evolve } from '../domain/invoice.ts';
import { encodeInvoiceEvent } from '../protobuf/invoice-events.ts';
import { toInvoiceMessage } from '../protobuf/invoice-message.ts';
import { loadInvoices, saveInvoices } from './invoice-table.ts';
import type { Aggregate } from '@billhook/event-store';
import type { Client } from '@billhook/postgres';
import type { Invoice, InvoiceKey } from '../domain/invoice.ts';
import type { AddressedCommand } from '../grpc/invoice-service.ts';

/** The invoices that a batch touches, as its commands have left them so far. */
export interface WorkingInvoices {
  find(key: InvoiceKey): Invoice | undefined;
  put(invoice: Invoice): void;
  /** Those that were put, each once. */
  changed(): readonly Invoice[];
}

/** What the event store needs to know of invoices. */
export const invoiceAggregate: Aggregate<AddressedCommand, WorkingInvoices, invoiceV1.Invoice> = {
  load: (client, commands) =>
    loadWorkingInvoices(
      client,
      commands.map(({ tenant, streamId }) => ({ tenant, invoiceId: streamId })),
    ),
  version: (working, { tenant, streamId: invoiceId }) =>
    working.find({ tenant, invoiceId })?.version ?? 0,
  decide(working, { tenant, streamId: invoiceId, command }, { recordedAtMs }) {
    let invoice = working.find({ tenant, invoiceId });
    const decision = decide(command, { invoiceId, invoice, recordedAtMs });
    if (decision.kind === 'refused') {
      return decision;
    }
    for (const event of decision.events) {
      invoice = evolve(invoice, { tenant, invoiceId, recordedAtMs, event });
      working.put(invoice);
    }
    if (invoice === undefined) {
      throw new Error(`A command on invoice ${tenant}/${invoiceId} was accepted and made none`);
    }
    const events = decision.events.map((event) => ({
      type: event.type,
      data: encodeInvoiceEvent(event),
    }));
    return { kind: 'accepted', events, answer: toInvoiceMessage(invoice) };
  },
  save: saveWorkingInvoices,
  encodeAnswer: (invoice) => invoiceV1.Invoice.encode(invoice).finish(),
  decodeAnswer: (bytes) => invoiceV1.Invoice.decode(bytes),
};

/** Loads the invoices that there are; a key may be named more than once. */
export async function loadWorkingInvoices(
  client: Client,
  keys: readonly InvoiceKey[],
): Promise<WorkingInvoices> {
  const wanted = new Map(keys.map((key) => [nameOf(key), key]));
  const loaded = await loadInvoices(client, [...wanted.values()]);
  const invoices = new Map(loaded.map((invoice) => [nameOf(invoice), invoice]));
  const changed = new Map<string, Invoice>();
  return {
    find: (key) => invoices.get(nameOf(key)),
    put(invoice) {
      invoices.set(nameOf(invoice), invoice);
      changed.set(nameOf(invoice), invoice);
    },
    changed: () => [...changed.values()],
  };
}

/** Sends what writes what changed, if anything did. */
export function saveWorkingInvoices(client: Client, working: WorkingInvoices): Promise<unknown>[] {
  const changed = working.changed();
  return changed.length > 0 ? [saveInvoices(client, changed)] : [];
}

/** Neither tenants nor ids hold a slash. */
function nameOf(key: InvoiceKey): string {
  return `${key.tenant}/${key.invoiceId}`;
}
