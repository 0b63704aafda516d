import { SCHEMA } from './migrations.ts';
import { integers, texts, type Client, type Pool } from '@billhook/postgres';
import type { Invoice, InvoiceKey, InvoiceStatus } from '../domain/invoice.ts';

/** Reads the invoices that there are among those asked for, in any order. */
export async function loadInvoices(
  client: Client,
  keys: readonly InvoiceKey[],
): Promise<readonly Invoice[]> {
  const { rows } = await client.query<InvoiceRow>({
    name: 'load_invoices',
    text: `
select ${COLUMNS}
from ${SCHEMA}.invoice
join unnest($1::text[], $2::text[]) as wanted (tenant, invoice_id) using (tenant, invoice_id)`,
    values: [texts(keys.map((key) => key.tenant)), texts(keys.map((key) => key.invoiceId))],
  });
  return rows.map(toInvoice);
}

/** Writes invoices, new ones and changed ones; each of them stands in the list once. */
export async function saveInvoices(client: Client, invoices: readonly Invoice[]): Promise<void> {
  await client.query({
    name: 'save_invoices',
    text: `
insert into ${SCHEMA}.invoice (${COLUMNS})
select * from unnest(
  $1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[],
  $7::bigint[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
on conflict (tenant, invoice_id) do update set
  version = excluded.version,
  status = excluded.status,
  amount_minor = excluded.amount_minor,
  due_at_ms = excluded.due_at_ms,
  description = excluded.description,
  amount_received_minor = excluded.amount_received_minor,
  paid_at_ms = excluded.paid_at_ms,
  updated_at_ms = excluded.updated_at_ms`,
    values: [
      texts(invoices.map(({ tenant }) => tenant)),
      texts(invoices.map(({ invoiceId }) => invoiceId)),
      integers(invoices.map(({ version }) => version)),
      texts(invoices.map(({ status }) => status)),
      texts(invoices.map(({ amount }) => amount.currency)),
      integers(invoices.map(({ amount }) => amount.amountMinor)),
      integers(invoices.map(({ dueAtMs }) => dueAtMs)),
      texts(invoices.map(({ description }) => description)),
      integers(invoices.map((invoice) => paymentOf(invoice)?.amountReceived.amountMinor)),
      integers(invoices.map((invoice) => paymentOf(invoice)?.paidAtMs)),
      integers(invoices.map(({ createdAtMs }) => createdAtMs)),
      integers(invoices.map(({ updatedAtMs }) => updatedAtMs)),
    ],
  });
}

/** Reads one invoice. */
export async function getInvoice(pool: Pool, key: InvoiceKey): Promise<Invoice | undefined> {
  const { rows } = await pool.query<InvoiceRow>({
    name: 'get_invoice',
    text: `select ${COLUMNS} from ${SCHEMA}.invoice where tenant = $1 and invoice_id = $2`,
    values: [key.tenant, key.invoiceId],
  });
  return rows.map(toInvoice)[0];
}

/** A stretch of a tenant's invoices in the order of their ids. */
export interface InvoiceRange {
  readonly tenant: string;
  /** Only ids greater than this one; "" for the start. */
  readonly after: string;
  /** Only ids up to this one; undefined for no end. */
  readonly upTo: string | undefined;
  readonly status: InvoiceStatus | undefined;
  readonly limit: number;
}

/** Reads the first invoices of a range. */
export async function selectInvoices(pool: Pool, range: InvoiceRange): Promise<readonly Invoice[]> {
  const { rows } = await pool.query<InvoiceRow>({
    name: 'select_invoices',
    text: `
select ${COLUMNS}
from ${SCHEMA}.invoice
where tenant = $1
  and invoice_id > $2
  and ($3::text is null or invoice_id <= $3)
  and ($4::text is null or status = $4)
order by invoice_id
limit $5`,
    values: [range.tenant, range.after, range.upTo, range.status, range.limit],
  });
  return rows.map(toInvoice);
}

/** Finds the id that stands `count` places behind another one, if there are so many. */
export async function findInvoiceIdAhead(
  pool: Pool,
  start: { readonly tenant: string; readonly after: string; readonly count: number },
): Promise<string | undefined> {
  const { rows } = await pool.query<{ readonly invoice_id: string }>({
    name: 'find_invoice_id_ahead',
    text: `
select invoice_id
from ${SCHEMA}.invoice
where tenant = $1 and invoice_id > $2
order by invoice_id
offset $3 limit 1`,
    values: [start.tenant, start.after, start.count - 1],
  });
  return rows[0]?.invoice_id;
}

/** However many rows there are, this is not given up as a query of a call would be. */
const DELETE_TIMEOUT_MS = 60 * 60 * 1_000;

/** Removes every invoice. */
export async function deleteInvoices(client: Client): Promise<void> {
  const unhurried = {
    text: `delete from ${SCHEMA}.invoice`,
    query_timeout: DELETE_TIMEOUT_MS,
  };
  await client.query(unhurried);
}

/** `bigint` columns arrive as bigints. */
interface InvoiceRow {
  readonly tenant: string;
  readonly invoice_id: string;
  readonly version: bigint;
  readonly status: InvoiceStatus;
  readonly currency: string;
  readonly amount_minor: bigint;
  readonly due_at_ms: bigint | null;
  readonly description: string | null;
  readonly amount_received_minor: bigint | null;
  readonly paid_at_ms: bigint | null;
  readonly created_at_ms: bigint;
  readonly updated_at_ms: bigint;
}

/** In the order of the statement that writes them. */
const COLUMN_NAMES = [
  'tenant',
  'invoice_id',
  'version',
  'status',
  'currency',
  'amount_minor',
  'due_at_ms',
  'description',
  'amount_received_minor',
  'paid_at_ms',
  'created_at_ms',
  'updated_at_ms',
] as const satisfies readonly (keyof InvoiceRow)[];

const COLUMNS = COLUMN_NAMES.join(', ');

function paymentOf(invoice: Invoice) {
  return invoice.status === 'paid' ? invoice : undefined;
}

function toInvoice(row: InvoiceRow): Invoice {
  const facts = {
    tenant: row.tenant,
    invoiceId: row.invoice_id,
    version: Number(row.version),
    amount: { currency: row.currency, amountMinor: row.amount_minor },
    dueAtMs: row.due_at_ms === null ? null : Number(row.due_at_ms),
    description: row.description,
    createdAtMs: Number(row.created_at_ms),
    updatedAtMs: Number(row.updated_at_ms),
  };
  if (row.status !== 'paid') {
    return { ...facts, status: row.status };
  }
  if (row.amount_received_minor === null || row.paid_at_ms === null) {
    throw new Error(`Invoice ${row.tenant}/${row.invoice_id} is paid without a payment`);
  }
  const amountReceived = { currency: row.currency, amountMinor: row.amount_received_minor };
  return { ...facts, status: row.status, amountReceived, paidAtMs: Number(row.paid_at_ms) };
}
