import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { invoiceV1 } from '@billhook/contracts';
import type { Money, Timestamp } from '@billhook/contracts';

/** What the command line asks for. */
export type InvoiceCall = CallTarget &
  (
    | { readonly kind: 'create'; readonly request: invoiceV1.CreateInvoiceRequest }
    | { readonly kind: 'update'; readonly request: invoiceV1.UpdateInvoiceRequest }
    | { readonly kind: 'pay'; readonly request: invoiceV1.PayInvoiceRequest }
    | { readonly kind: 'get'; readonly request: invoiceV1.GetInvoiceRequest }
    | { readonly kind: 'list'; readonly request: invoiceV1.ListInvoicesRequest }
    | { readonly kind: 'events'; readonly request: invoiceV1.ListInvoiceEventsRequest }
  );

interface CallTarget {
  /** Where the service is; undefined for the default. */
  readonly target: string | undefined;
  readonly tenant: string;
}

/** The command line cannot be understood; the message says what can be. */
export class UsageError extends Error {
  constructor(problem: string) {
    super(`${problem}\n\n${USAGE}`);
    this.name = 'UsageError';
  }
}

const USAGE = `Usage: npm run invoice -- COMMAND

  create --amount 200 --currency USD [--id ID] [--due TIME] [--description TEXT]
  update --id ID [--amount 1550.50 --currency USD] [--due TIME] [--description TEXT]
         [--clear due_date,description] [--etag ETAG]
  pay    --id ID --amount 1550.50 --currency USD [--paid-at TIME] [--etag ETAG]
  get    --id ID
  list   [--status pending|updated|paid] [--page-size N] [--page-token TOKEN]
  events --id ID [--page-size N] [--page-token TOKEN]

TIME is a date or a time such as 2024-04-15T00:00:00Z. With each command:
  --request-id ID   makes a repeat of a change safe (made up without it)
  --tenant NAME     default without it
  --addr HOST:PORT  BILLHOOK_INVOICE_ADDR or 127.0.0.1:50051 without it`;

const TEXT = { type: 'string' } as const;
const OPTIONS = {
  id: TEXT,
  amount: TEXT,
  currency: TEXT,
  due: TEXT,
  description: TEXT,
  clear: TEXT,
  etag: TEXT,
  'paid-at': TEXT,
  'request-id': TEXT,
  status: TEXT,
  'page-size': TEXT,
  'page-token': TEXT,
  tenant: TEXT,
  addr: TEXT,
} as const;

type Values = { readonly [Name in keyof typeof OPTIONS]?: string };

/** Which options a command takes, beside those that every command takes. */
const OPTIONS_OF: Readonly<Record<InvoiceCall['kind'], readonly (keyof Values)[]>> = {
  create: ['id', 'amount', 'currency', 'due', 'description', 'request-id'],
  update: ['id', 'amount', 'currency', 'due', 'description', 'clear', 'etag', 'request-id'],
  pay: ['id', 'amount', 'currency', 'paid-at', 'etag', 'request-id'],
  get: ['id'],
  list: ['status', 'page-size', 'page-token'],
  events: ['id', 'page-size', 'page-token'],
};

/**
 * Reads the command line. Whether an amount, an id or a time makes sense is for the service to say.
 *
 * @throws UsageError
 */
export function readArguments(args: readonly string[]): InvoiceCall {
  const { values, positionals } = parse(args);
  const [kind, ...rest] = positionals;
  if (kind === undefined || !isKind(kind) || rest.length > 0) {
    throw new UsageError(`There is no command ${JSON.stringify(positionals.join(' '))}.`);
  }
  const allowed: readonly string[] = [...OPTIONS_OF[kind], 'tenant', 'addr'];
  const unknown = Object.keys(values).find((name) => !allowed.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`${kind} takes no --${unknown}.`);
  }
  return { ...readCall(kind, values), target: values.addr, tenant: values.tenant ?? 'default' };
}

function readCall(kind: InvoiceCall['kind'], values: Values) {
  const page = {
    pageSize: readInteger(values['page-size']),
    pageToken: values['page-token'] ?? '',
  };
  const invoiceId = values.id ?? '';
  const mutation = { requestId: values['request-id'] ?? randomUUID(), invoiceId };
  const etag = values.etag ?? '';
  const amount = readMoney(values);
  switch (kind) {
    case 'create': {
      const { description } = values;
      const request = { ...mutation, amount, dueDate: readTime('due', values.due), description };
      return { kind, request };
    }
    case 'update':
      return { kind, request: { ...mutation, ...readChanges(values), amount, etag } };
    case 'pay': {
      const paidAt = readTime('paid-at', values['paid-at']);
      return { kind, request: { ...mutation, amountReceived: amount, paidAt, etag } };
    }
    case 'get':
      return { kind, request: { invoiceId } };
    case 'list':
      return { kind, request: { ...page, status: readStatus(values.status) } };
    case 'events':
      return { kind, request: { ...page, invoiceId } };
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function isKind(text: string): text is InvoiceCall['kind'] {
  return Object.hasOwn(OPTIONS_OF, text);
}

/** A mask is needed only to clear fields: without one the given fields change. */
function readChanges(values: Values) {
  const { due, description, clear, amount } = values;
  const cleared = clear?.split(',') ?? [];
  const given = [
    ...(amount === undefined ? [] : ['amount']),
    ...(due === undefined ? [] : ['due_date']),
    ...(description === undefined ? [] : ['description']),
  ];
  const updateMask = clear === undefined ? undefined : [...given, ...cleared];
  return { dueDate: readTime('due', due), description, updateMask };
}

const DECIMAL = /^(?<units>\d{1,18})(?:\.(?<fraction>\d{1,9}))?$/;
const NANO_DIGITS = 9;

function readMoney({ amount, currency }: Values): Money | undefined {
  if (amount === undefined && currency === undefined) {
    return undefined;
  }
  const groups = DECIMAL.exec(amount ?? '')?.groups;
  if (groups === undefined || currency === undefined) {
    throw new UsageError('An amount needs both: --amount such as 1550.50 and --currency.');
  }
  const nanos = Number((groups['fraction'] ?? '').padEnd(NANO_DIGITS, '0'));
  return { currencyCode: currency, units: BigInt(groups['units'] ?? 0), nanos };
}

function readTime(name: string, text: string | undefined): Timestamp | undefined {
  if (text === undefined) {
    return undefined;
  }
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) {
    throw new UsageError(`--${name} needs a time such as 2024-04-15T00:00:00Z.`);
  }
  const seconds = Math.floor(timeMs / 1_000);
  return { seconds: BigInt(seconds), nanos: (timeMs - seconds * 1_000) * 1_000_000 };
}

function readInteger(text: string | undefined): number {
  if (text !== undefined && !/^\d{1,9}$/.test(text)) {
    throw new UsageError('--page-size needs a number.');
  }
  return Number(text ?? 0);
}

function readStatus(text: string | undefined): invoiceV1.InvoiceStatus {
  const { InvoiceStatus } = invoiceV1;
  switch (text) {
    case undefined:
      return InvoiceStatus.INVOICE_STATUS_UNSPECIFIED;
    case 'pending':
      return InvoiceStatus.INVOICE_STATUS_PENDING;
    case 'updated':
      return InvoiceStatus.INVOICE_STATUS_UPDATED;
    case 'paid':
      return InvoiceStatus.INVOICE_STATUS_PAID;
    default:
      throw new UsageError('--status needs pending, updated or paid.');
  }
}
