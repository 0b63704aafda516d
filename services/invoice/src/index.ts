export { invoiceConfig } from './config.ts';
export type { InvoiceConfig } from './config.ts';
export { startInvoiceService } from './invoice-service.ts';
