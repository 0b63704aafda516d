import type { CallOptions, ReflectedClient } from './reflected-client.ts';

export interface Money {
  readonly currencyCode: string;
  readonly units: number;
  readonly nanos?: number;
}

export interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

export interface Invoice {
  readonly invoiceId: string;
  readonly status: string;
  readonly amount: Money;
  readonly etag: string;
}

export interface RecordedEvent {
  readonly eventId: string;
  readonly event: string;
  readonly sequence: number;
}

export interface CreateRequest {
  readonly requestId?: string;
  readonly invoiceId?: string;
  readonly amount?: Money;
  readonly dueDate?: Timestamp;
  readonly description?: string;
}

export interface UpdateRequest extends CreateRequest {
  readonly updateMask?: { readonly paths: readonly string[] };
  readonly etag?: string;
}

export interface PayRequest {
  readonly requestId?: string;
  readonly invoiceId: string;
  readonly amountReceived: Money;
  readonly paidAt?: Timestamp;
  readonly etag?: string;
}

/** The calls of `billhook.invoice.v1.InvoiceService`. */
export type InvoiceCalls = ReturnType<typeof createInvoiceCalls>;

const SERVICE = 'billhook.invoice.v1.InvoiceService';

/** An amount of US dollars with cents. */
export function dollars(amount: number): Money {
  const units = Math.trunc(amount);
  return { currencyCode: 'USD', units, nanos: Math.round((amount - units) * 100) * 10_000_000 };
}

/** A time such as `2024-04-15T00:00:00Z`. */
export function timestamp(text: string): Timestamp {
  return { seconds: Date.parse(text) / 1_000, nanos: 0 };
}

/** Gives the calls of the invoice service. */
export function createInvoiceCalls(client: ReflectedClient) {
  const mutate = async (name: string, request: object, options?: CallOptions) => {
    const path = `${SERVICE}/${name}`;
    const { invoice } = await client.call<{ invoice: Invoice }>(path, request, options);
    return invoice;
  };
  return {
    create: (request: CreateRequest, options?: CallOptions) =>
      mutate('CreateInvoice', request, options),
    update: (request: UpdateRequest, options?: CallOptions) =>
      mutate('UpdateInvoice', request, options),
    pay: (request: PayRequest, options?: CallOptions) => mutate('PayInvoice', request, options),
    get: (invoiceId: string, options?: CallOptions) => mutate('GetInvoice', { invoiceId }, options),
    async events(invoiceId: string): Promise<readonly RecordedEvent[]> {
      const path = `${SERVICE}/ListInvoiceEvents`;
      const { events } = await client.call<{ events: RecordedEvent[] }>(path, { invoiceId });
      return events;
    },
    sendBytes: (method: string, bytes: Uint8Array) =>
      client.sendBytes(`${SERVICE}/${method}`, bytes),
  };
}
