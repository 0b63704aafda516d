import type { Log } from '@billhook/runtime';
import pg from 'pg';

import { GatheringSocket } from './gathering-socket.ts';

export type Pool = pg.Pool;
export type Client = pg.PoolClient;

export interface PoolOptions {
  readonly connectionString: string;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  readonly maxConnections: number;
  readonly log: Log;
}

/**
 * What every session is told. A process that freezes inside a transaction must not hold its locks
 * for longer than `idle_in_transaction_session_timeout`; one whose machine is gone is noticed by
 * TCP keepalives.
 */
const SESSION = {
  lock_timeout: '5s',
  idle_in_transaction_session_timeout: '2s',
  tcp_keepalives_idle: '5',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
  // Every hot statement has its index. A plan that is made while a table is small would otherwise
  // read all of it, and be kept while the table grows: measured, 1,300 appends/s instead of 13,800.
  enable_seqscan: 'off',
  // Before Postgres 18 a plan that must use what is off looks dear enough to be compiled.
  jit: 'off',
};

/** A server that does not answer is given up, and its connection with it. */
const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 30_000;
const KEEPALIVE_DELAY_MS = 5_000;

/** A number would lose digits: int8 is read as bigint. */
const types: pg.CustomTypesConfig = {
  getTypeParser(oid, format) {
    return oid === pg.types.builtins.INT8 && format !== 'binary'
      ? BigInt
      : pg.types.getTypeParser(oid, format);
  },
};

/** How a connection is made, for pools and for connections that stand alone. */
export function connectionOptions(options: {
  readonly connectionString: string;
  readonly applicationName: string;
}): pg.ClientConfig {
  return {
    connectionString: options.connectionString,
    application_name: options.applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_DELAY_MS,
    options: Object.entries(SESSION)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
    types,
  };
}

/** Makes a pool. It connects when it is first used; the caller ends it. */
export function createPool(options: PoolOptions): Pool {
  const pool = new pg.Pool({
    ...connectionOptions(options),
    max: options.maxConnections,
    // Statements that need not wait for each other's answers are sent at once.
    pipeline: true,
    stream: () => new GatheringSocket(),
  });
  // A connection says that it broke, also between two statements; unheard, that would end the
  // process. Whoever uses it learns of it from the next statement.
  pool.on('connect', (client) => client.on('error', () => undefined));
  // An idle one is replaced by itself.
  pool.on('error', (error) => {
    if (pool.ending) return;
    // The pool adds the connection to the error; only what happened belongs in the log.
    options.log.warn({ reason: error.message }, 'an idle connection to Postgres was lost');
  });
  return pool;
}
