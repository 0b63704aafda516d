import { announce, ConfigurationError, createLog } from '@billhook/runtime';
import { createPool } from '@billhook/postgres';
import { readInvoiceConfig } from './config.ts';
import { migrateInvoices } from './postgres/migrations.ts';
import { rebuildInvoices } from './postgres/rebuild-invoices.ts';

const EXIT_CODE = { misconfigured: 2 } as const;

/** Makes the read model anew from the events, beside running services if need be. */
try {
  const { databaseUrl: connectionString, logLevel } = readInvoiceConfig(process.env);
  const applicationName = 'billhook-invoice-rebuild';
  const log = createLog({ level: logLevel, service: applicationName });
  const pool = createPool({ connectionString, applicationName, maxConnections: 1, log });
  try {
    await migrateInvoices(pool);
    const { events } = await rebuildInvoices(pool);
    announce(`The invoices were rebuilt from ${events} events`);
  } finally {
    await pool.end();
  }
} catch (error) {
  if (!(error instanceof ConfigurationError)) {
    throw error;
  }
  process.stderr.write(`${error.message}\n`);
  process.exitCode = EXIT_CODE.misconfigured;
}
