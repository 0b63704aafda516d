import type { Pool } from '@billhook/postgres';
import { microsecondsNow, secondsSince } from '../measuring/clock.ts';
import { summariseLatencies } from '../measuring/spread.ts';
import type { Latencies } from '../measuring/spread.ts';

/**
 * Inserts rows of the size of an event, one after the other, each in a statement that is its own
 * transaction: what one durable commit takes here.
 */
export async function measureCommits(
  pool: Pool,
  commits: number,
): Promise<{ readonly seconds: number; readonly latencies: Latencies }> {
  await pool.query('create table if not exists public.bench_commit (id bigint, data bytea)');
  const client = await pool.connect();
  try {
    const latenciesMs: number[] = [];
    const startedAtMicros = microsecondsNow();
    for (let id = 0; id < commits; id += 1) {
      const beganAtMs = performance.now();
      await client.query({
        name: 'bench_commit',
        text: 'insert into public.bench_commit values ($1, $2)',
        values: [id, DATA],
      });
      latenciesMs.push(performance.now() - beganAtMs);
    }
    return {
      seconds: secondsSince(startedAtMicros),
      latencies: summariseLatencies(latenciesMs),
    };
  } finally {
    client.release();
  }
}

const DATA = Buffer.alloc(200, 'x');
