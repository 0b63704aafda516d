import { invoiceV1 } from '@billhook/contracts';
import { decodePageToken, pageSize } from '@billhook/grpc';
import { check, INVOICE_ID, requiredInvoiceId, requireValid, violation } from './fields.ts';
import type { PageScope } from '@billhook/grpc';
import type { InvoiceStatus } from '../domain/invoice.ts';
import type { Field } from './fields.ts';

/** Which part of a list a caller wants. */
export interface Page<After> {
  readonly scope: PageScope;
  readonly size: number;
  /** The entry that the page before ended with. */
  readonly after: After;
}

export interface InvoicePage extends Page<string> {
  readonly status: InvoiceStatus | undefined;
}

export interface HistoryPage extends Page<number> {
  readonly invoiceId: string;
}

const PAGE_SIZE = { default: 50, max: 1_000 };

/** What the entries of a page may hold together; clients take messages of up to 4 MiB. */
const MAX_PAGE_BYTES = 1024 * 1024;

/** @throws ServiceError with every violation of the request; so does the next. */
export function readInvoicePage(
  request: invoiceV1.ListInvoicesRequest,
  tenant: string,
): InvoicePage {
  const scope = { kind: 'invoices', filter: [tenant, request.status] };
  const page = requireValid({
    size: check(() => pageSize(request.pageSize, PAGE_SIZE)),
    after: check(() => readAfter(scope, request.pageToken, INVOICE_ID)),
    status: readStatusFilter(request.status),
  });
  return { scope, ...page };
}

export function readHistoryPage(
  request: invoiceV1.ListInvoiceEventsRequest,
  tenant: string,
): HistoryPage {
  const scope = { kind: 'invoice events', filter: [tenant, request.invoiceId] };
  const page = requireValid({
    invoiceId: requiredInvoiceId(request.invoiceId),
    size: check(() => pageSize(request.pageSize, PAGE_SIZE)),
    after: check(() => Number(readAfter(scope, request.pageToken, VERSION))),
  });
  return { scope, ...page };
}

/**
 * How many entries go on a page: at least one if there is any, at most as many as were asked for,
 * and no more than a message holds.
 */
export function countFitting(sizesBytes: readonly number[], size: number): number {
  let sumBytes = 0;
  const tooMuch = sizesBytes.findIndex((sizeBytes, index) => {
    sumBytes += sizeBytes;
    return index === size || (index > 0 && sumBytes > MAX_PAGE_BYTES);
  });
  return tooMuch === -1 ? sizesBytes.length : tooMuch;
}

/** A version as a token names it, well below 2^53. */
const VERSION = /^[1-9][0-9]{0,14}$/;

/** @returns "" for the first page. */
function readAfter(scope: PageScope, token: string, pattern: RegExp): string {
  const [after = ''] = decodePageToken(scope, token, [pattern]) ?? [];
  return after;
}

function readStatusFilter(status: invoiceV1.InvoiceStatus): Field<InvoiceStatus | undefined> {
  switch (status) {
    case invoiceV1.InvoiceStatus.INVOICE_STATUS_UNSPECIFIED:
      return { kind: 'valid', value: undefined };
    case invoiceV1.InvoiceStatus.INVOICE_STATUS_PENDING:
      return { kind: 'valid', value: 'pending' };
    case invoiceV1.InvoiceStatus.INVOICE_STATUS_UPDATED:
      return { kind: 'valid', value: 'updated' };
    case invoiceV1.InvoiceStatus.INVOICE_STATUS_PAID:
      return { kind: 'valid', value: 'paid' };
    case invoiceV1.InvoiceStatus.UNRECOGNIZED:
      return violation(
        'status',
        'STATUS_UNKNOWN',
        'must be pending, updated or paid, or be absent',
      );
  }
}
