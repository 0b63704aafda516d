import { invoiceV1 } from '@billhook/contracts';
import { encodePageToken, implement } from '@billhook/grpc';
import { invoiceNotFound } from '../domain/decide.ts';
import { readInvoiceEventMessage } from '../protobuf/invoice-events.ts';
import { toInvoiceMessage } from '../protobuf/invoice-message.ts';
import { writeTimestampMs } from '@billhook/contracts';
import { hashContent, readCreateInvoice, readPayInvoice, readUpdateInvoice } from './commands.ts';
import { requiredInvoiceId, requireValid } from './fields.ts';
import { countFitting, readHistoryPage, readInvoicePage } from './paging.ts';
import type { EventStore, StoredEvent } from '@billhook/event-store';
import type { CallContext, Handlers, ServedService } from '@billhook/grpc';
import type { InvoiceCommand } from '../domain/decide.ts';
import type { Invoice, InvoiceKey, InvoiceStatus } from '../domain/invoice.ts';
import type { RequestedCommand } from './commands.ts';
import type { HistoryPage, InvoicePage } from './paging.ts';

/** A command on its way to the invoice that it is meant for. */
export interface AddressedCommand {
  readonly tenant: string;
  /** The invoice's id. */
  readonly streamId: string;
  readonly command: InvoiceCommand;
}

/** Reads invoices and their histories. */
export interface InvoiceReader {
  get(key: InvoiceKey): Promise<Invoice | undefined>;
  list(range: ListRange): Promise<InvoiceSlice>;
  /** Events after a version, oldest first. */
  history(key: InvoiceKey, range: HistoryRange): Promise<readonly StoredEvent[]>;
}

export interface ListRange {
  readonly tenant: string;
  readonly status: InvoiceStatus | undefined;
  /** Only ids greater than this one; "" for the start. */
  readonly after: string;
  readonly limit: number;
}

export interface InvoiceSlice {
  readonly invoices: readonly Invoice[];
  /** The id up to which was looked, if there may be more behind it. */
  readonly examinedUpTo: string | undefined;
}

export interface HistoryRange {
  readonly afterVersion: number;
  readonly limit: number;
}

export interface InvoiceServiceDeps {
  readonly store: EventStore<AddressedCommand, invoiceV1.Invoice>;
  readonly reader: InvoiceReader;
}

/** Answers the calls of `billhook.invoice.v1.InvoiceService`. */
export function createInvoiceService(deps: InvoiceServiceDeps): ServedService {
  const { reader } = deps;
  const execute = createExecute(deps);
  const handlers: Handlers<typeof invoiceV1.InvoiceServiceService> = {
    createInvoice: (request, context) =>
      execute(readCreateInvoice(request, context.tenant), context),
    updateInvoice: (request, context) => execute(readUpdateInvoice(request), context),
    payInvoice: (request, context) => execute(readPayInvoice(request), context),
    getInvoice: async (request, { tenant }) => {
      const { invoiceId } = requireValid({ invoiceId: requiredInvoiceId(request.invoiceId) });
      return { invoice: toInvoiceMessage(await requireInvoice(reader, { tenant, invoiceId })) };
    },
    listInvoices: async (request, { tenant }) => {
      const page = readInvoicePage(request, tenant);
      const { status, after } = page;
      return toInvoicePage(
        page,
        await reader.list({ tenant, status, after, limit: page.size + 1 }),
      );
    },
    listInvoiceEvents: async (request, { tenant }) => {
      const page = readHistoryPage(request, tenant);
      const key = { tenant, invoiceId: page.invoiceId };
      const range = { afterVersion: page.after, limit: page.size + 1 };
      const events = await reader.history(key, range);
      if (events.length === 0) {
        await requireInvoice(reader, key);
      }
      return toHistoryPage(page, events);
    },
  };
  return implement(invoiceV1.InvoiceServiceService, handlers);
}

/** Hands a mutation to the store, which answers once it is durable or refused. */
function createExecute({ store }: InvoiceServiceDeps) {
  return async (
    requested: RequestedCommand,
    context: CallContext,
  ): Promise<{ readonly invoice: invoiceV1.Invoice }> => {
    const { invoiceId, command, requestId, content } = requested;
    const { tenant, signal, deadlineMs, traceparent } = context;
    const invoice = await store.execute({
      command: { tenant, streamId: invoiceId, command },
      ...(requestId === '' ? {} : { requestId, requestHash: hashContent(content) }),
      bytes: content.length,
      deadlineMs,
      signal,
      ...(traceparent === undefined ? {} : { traceparent }),
    });
    return { invoice };
  };
}

async function requireInvoice(reader: InvoiceReader, key: InvoiceKey): Promise<Invoice> {
  const invoice = await reader.get(key);
  if (invoice === undefined) {
    throw invoiceNotFound(key.invoiceId);
  }
  return invoice;
}

/** Bytes of a list's entry beside its text: ids, amounts, times and tags, generously. */
const ENTRY_BYTES = 384;

/** @param slice one invoice more than the page holds, if there are so many. */
function toInvoicePage(page: InvoicePage, slice: InvoiceSlice): invoiceV1.ListInvoicesResponse {
  const { invoices, examinedUpTo } = slice;
  const sizesBytes = invoices.map(
    (invoice) => ENTRY_BYTES + Buffer.byteLength(invoice.description ?? ''),
  );
  const shown = invoices.slice(0, countFitting(sizesBytes, page.size));
  const next = shown.length < invoices.length ? shown.at(-1)?.invoiceId : examinedUpTo;
  return {
    invoices: shown.map(toInvoiceMessage),
    nextPageToken: next === undefined ? '' : encodePageToken(page.scope, [next]),
  };
}

/** @param events one more than the page holds, if there are so many. */
function toHistoryPage(
  page: HistoryPage,
  events: readonly StoredEvent[],
): invoiceV1.ListInvoiceEventsResponse {
  const sizesBytes = events.map((event) => ENTRY_BYTES + event.data.length);
  const shown = events.slice(0, countFitting(sizesBytes, page.size));
  const next = shown.length < events.length ? shown.at(-1)?.version : undefined;
  return {
    events: shown.map((event) => ({
      eventId: event.id,
      event: event.type,
      sequence: BigInt(event.version),
      eventTime: writeTimestampMs(event.recordedAtMs),
      content: readInvoiceEventMessage(event.data),
    })),
    nextPageToken: next === undefined ? '' : encodePageToken(page.scope, [String(next)]),
  };
}
