import { invoiceV1 } from '@billhook/contracts';
import { etagOf } from '../domain/invoice.ts';
import { formatMoney } from '../domain/money.ts';
import { writeTimestampMs } from '@billhook/contracts';
import type { Invoice, InvoiceStatus } from '../domain/invoice.ts';

/** An invoice as callers see it. */
export function toInvoiceMessage(invoice: Invoice): invoiceV1.Invoice {
  return {
    invoiceId: invoice.invoiceId,
    status: toStatus[invoice.status],
    amount: formatMoney(invoice.amount),
    dueDate: invoice.dueAtMs === null ? undefined : writeTimestampMs(invoice.dueAtMs),
    description: invoice.description ?? undefined,
    amountReceived: invoice.status === 'paid' ? formatMoney(invoice.amountReceived) : undefined,
    paidAt: invoice.status === 'paid' ? writeTimestampMs(invoice.paidAtMs) : undefined,
    createTime: writeTimestampMs(invoice.createdAtMs),
    updateTime: writeTimestampMs(invoice.updatedAtMs),
    etag: etagOf(invoice),
  };
}

const toStatus = {
  pending: invoiceV1.InvoiceStatus.INVOICE_STATUS_PENDING,
  updated: invoiceV1.InvoiceStatus.INVOICE_STATUS_UPDATED,
  paid: invoiceV1.InvoiceStatus.INVOICE_STATUS_PAID,
} as const satisfies Record<InvoiceStatus, invoiceV1.InvoiceStatus>;
