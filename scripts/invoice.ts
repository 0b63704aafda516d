import { call, createGrpcClient, RemoteError } from '@billhook/grpc';
import { invoiceV1 } from '@billhook/contracts';
import { readArguments, UsageError } from './invoice-client/arguments.ts';
import { toJson } from './invoice-client/json.ts';
import type { InvoiceCall } from './invoice-client/arguments.ts';

const DEFAULT_TARGET = '127.0.0.1:50051';
const CALL_TIMEOUT_MS = 10_000;
const EXIT_CODE = { refused: 1, misused: 2 } as const;

/** A small client for the invoice service: `npm run invoice -- create --amount 200 --currency USD`. */
try {
  process.stdout.write(`${toJson(await carryOut(readArguments(process.argv.slice(2))))}\n`);
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = error instanceof UsageError ? EXIT_CODE.misused : EXIT_CODE.refused;
}

async function carryOut(wanted: InvoiceCall): Promise<unknown> {
  const target = wanted.target ?? process.env['BILLHOOK_INVOICE_ADDR'] ?? DEFAULT_TARGET;
  const client = createGrpcClient(invoiceV1.InvoiceServiceClient, target, {
    // Each mutation carries a request_id, so that every call may be repeated.
    retryable: [
      'createInvoice',
      'updateInvoice',
      'payInvoice',
      'getInvoice',
      'listInvoices',
      'listInvoiceEvents',
    ],
  });
  const options = { tenant: wanted.tenant, timeoutMs: CALL_TIMEOUT_MS };
  try {
    switch (wanted.kind) {
      case 'create':
        return (await call(client.createInvoice, wanted.request, options)).invoice;
      case 'update':
        return (await call(client.updateInvoice, wanted.request, options)).invoice;
      case 'pay':
        return (await call(client.payInvoice, wanted.request, options)).invoice;
      case 'get':
        return (await call(client.getInvoice, wanted.request, options)).invoice;
      case 'list':
        return await call(client.listInvoices, wanted.request, options);
      case 'events':
        return await call(client.listInvoiceEvents, wanted.request, options);
    }
  } finally {
    client.close();
  }
}

function explain(error: unknown): string {
  if (!(error instanceof RemoteError)) {
    return error instanceof Error ? error.message : String(error);
  }
  if (error.code === 'UNAVAILABLE' && error.reason === undefined) {
    return `No invoice service answers. Is Billhook running, and is --addr right?\n${error.message}`;
  }
  const reason = error.reason === undefined ? '' : ` (${error.reason})`;
  const violations = error.fieldViolations.map(
    ({ field, description }) => `  ${field} ${description}`,
  );
  return [`${error.code}${reason}: ${error.message}`, ...violations].join('\n');
}
