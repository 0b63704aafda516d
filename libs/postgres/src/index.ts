export { keepDayPartitions } from './day-partitions.ts';
export type { DayPartitions } from './day-partitions.ts';
export { listen } from './listen.ts';
export type { Listener, ListenOptions } from './listen.ts';
export { migrate } from './migrate.ts';
export type { MigrateOptions, Migration } from './migrate.ts';
export { connectionOptions, createPool } from './pool.ts';
export type { Client, Pool, PoolOptions } from './pool.ts';
export { OutcomeUnknownError, transaction } from './transaction.ts';
