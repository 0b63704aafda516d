import type { Pool } from '@billhook/postgres';

import { times, words } from './arrays.ts';
import { endpointIdOf, endpointUuid } from './ids.ts';

/** What came of the attempts to an endpoint over a while. */
export interface HealthNote {
  readonly endpointId: string;
  /** Absent when none succeeded. */
  readonly lastSuccessMs: number | undefined;
  /** The first failure after that; absent when there was none. */
  readonly failingSinceMs: number | undefined;
}

/**
 * Notes how endpoints did, one row each.
 *
 * @returns those that have done nothing but fail for so long.
 */
export async function noteHealth(
  pool: Pool,
  notes: readonly HealthNote[],
  failingForMs: number,
): Promise<string[]> {
  const result = await pool.query<{ endpoint_id: string; is_failing: boolean }>({
    name: 'note_health',
    text: `insert into dispatcher.endpoint_health as health
             (endpoint_id, last_success_at, failing_since)
           select * from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[])
           on conflict (endpoint_id) do update
           set last_success_at = greatest(health.last_success_at, excluded.last_success_at),
             failing_since = case
               when excluded.last_success_at is not null then excluded.failing_since
               -- Another process may have had a success in the same while.
               else coalesce(health.failing_since,
                 greatest(excluded.failing_since, health.last_success_at))
             end
           returning endpoint_id,
             failing_since <= now() - $4 * interval '1 millisecond' as is_failing`,
    values: [
      words(notes.map(({ endpointId }) => endpointUuid(endpointId))),
      times(notes.map(({ lastSuccessMs }) => lastSuccessMs)),
      times(notes.map(({ failingSinceMs }) => failingSinceMs)),
      failingForMs,
    ],
  });
  return result.rows
    .filter(({ is_failing }) => is_failing)
    .map(({ endpoint_id }) => endpointIdOf(endpoint_id));
}

/** Begins anew: the endpoint was enabled, or has another address. */
export async function resetHealth(pool: Pool, endpointIds: readonly string[]): Promise<void> {
  await pool.query(
    'update dispatcher.endpoint_health set failing_since = null where endpoint_id = any($1::uuid[])',
    [endpointIds.map(endpointUuid)],
  );
}

/** Forgets endpoints that are not registered any more. */
export async function deleteHealth(pool: Pool, endpointIds: readonly string[]): Promise<void> {
  await pool.query('delete from dispatcher.endpoint_health where endpoint_id = any($1::uuid[])', [
    endpointIds.map(endpointUuid),
  ]);
}
