import { createPool, migrate } from '@billhook/postgres';
import { announce, ConfigurationError, createLog } from '@billhook/runtime';
import { readSubscriptionConfig } from './config.ts';
import { migrations, SCHEMA } from './postgres/migrations.ts';
import { rebuildEndpoints } from './postgres/rebuild-endpoints.ts';

const EXIT_CODE = { misconfigured: 2 } as const;

/** Makes the read model anew from the events, beside running services if need be. */
try {
  const { databaseUrl: connectionString, logLevel } = readSubscriptionConfig(process.env);
  const applicationName = 'billhook-subscription-rebuild';
  const log = createLog({ level: logLevel, service: applicationName });
  const pool = createPool({ connectionString, applicationName, maxConnections: 1, log });
  try {
    await migrate(pool, { schema: SCHEMA, migrations });
    const count = await rebuildEndpoints(pool);
    announce(`${count} endpoints were rebuilt from their events`);
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
