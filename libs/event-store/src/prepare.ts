import {
  startPartitionKeeper,
  transaction,
  type Client,
  type PartitionKeeper,
  type Pool,
} from '@billhook/postgres';
import { ConfigurationError, type Log } from '@billhook/runtime';

export interface PrepareOptions {
  readonly schema: string;
  readonly lanes: number;
  readonly requestIdRetentionMs: number;
  /** Hears when partitions could not be kept, which is tried again. */
  readonly log?: Log;
}

/**
 * Makes the rows of the lanes when the store is new, and keeps the partitions of the answers.
 *
 * @returns what keeps them from now on; stop it before the pool ends.
 * @throws ConfigurationError when the store has another number of lanes.
 */
export async function prepareEventStore(
  pool: Pool,
  options: PrepareOptions,
): Promise<PartitionKeeper> {
  const { schema, lanes, requestIdRetentionMs: retentionMs, log } = options;
  await makeLanes(pool, schema, lanes);
  return startPartitionKeeper(pool, { table: `${schema}.answer`, retentionMs }, (error) => {
    log?.warn({ err: error }, 'the partitions of the answers could not be kept');
  });
}

async function makeLanes(pool: Pool, schema: string, lanes: number): Promise<void> {
  if ((await countLanes(pool, schema)) === 0) {
    await transaction(pool, (client) => fillLanes(client, schema, lanes));
  }
  const existing = await countLanes(pool, schema);
  if (existing === lanes) return;
  throw new ConfigurationError(
    `BILLHOOK_LANES is ${lanes}, but the store was made with ${existing} lanes, and that is fixed.`,
  );
}

async function countLanes(pool: Pool, schema: string): Promise<number | undefined> {
  const result = await pool.query<{ lanes: number }>(
    `select count(*)::int as lanes from ${schema}.lane`,
  );
  return result.rows[0]?.lanes;
}

/** Only an empty table is filled: the number of lanes is fixed when the store is made. */
async function fillLanes(client: Client, schema: string, lanes: number): Promise<void> {
  // Two processes that start at once with different numbers must not both fill it.
  await client.query(`lock table ${schema}.lane in exclusive mode`);
  await client.query(
    `insert into ${schema}.lane (lane)
     select * from generate_series(0, $1::int - 1)
     where not exists (select from ${schema}.lane)`,
    [lanes],
  );
}
