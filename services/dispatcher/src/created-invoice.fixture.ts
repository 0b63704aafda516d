import { invoiceEventsV1 } from '@billhook/contracts';

/** The first event of an invoice, as the log keeps it. */
export const INVOICE_CREATED = invoiceEventsV1.InvoiceEvent.encode({
  change: {
    $case: 'created',
    value: {
      amount: { currencyCode: 'USD', units: 200n, nanos: 0 },
      dueDate: undefined,
      description: undefined,
    },
  },
}).finish();
