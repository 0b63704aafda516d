import { times, words, type Pool } from '@billhook/postgres';

import { endpointIdOf, endpointUuid } from './ids.ts';

/** What came of the attempts to an endpoint over a while. */
export interface HealthNote {
  readonly endpointId: string;
  /** When it was made, enabled, resumed or got its URL. */
  readonly renewedAtMs: number;
  /** Absent when none succeeded. */
  readonly lastSuccessMs: number | undefined;
  /** The first failure after that; absent when there was none. */
  readonly failingSinceMs: number | undefined;
}

export interface FailingEndpoint {
  readonly endpointId: string;
  readonly failingSinceMs: number;
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
): Promise<FailingEndpoint[]> {
  const result = await pool.query<HealthColumns>({
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
           returning endpoint_id, failing_since,
             failing_since <= now() - $4 * interval '1 millisecond' as is_failing`,
    values: [
      words(notes.map(({ endpointId }) => endpointUuid(endpointId))),
      times(notes.map(({ lastSuccessMs }) => lastSuccessMs)),
      times(notes.map(({ failingSinceMs }) => failingSinceMs)),
      failingForMs,
    ],
  });
  return result.rows.flatMap(({ endpoint_id, failing_since, is_failing }) =>
    is_failing && failing_since !== null
      ? [{ endpointId: endpointIdOf(endpoint_id), failingSinceMs: failing_since.getTime() }]
      : [],
  );
}

/** Forgets since when endpoints fail that were renewed after that, whichever process wrote it. */
export async function resetHealth(
  pool: Pool,
  endpoints: readonly Pick<HealthNote, 'endpointId' | 'renewedAtMs'>[],
): Promise<void> {
  await pool.query({
    name: 'reset_health',
    text: `update dispatcher.endpoint_health as health set failing_since = null
           from unnest($1::uuid[], $2::timestamptz[]) as renewed (endpoint_id, renewed_at)
           where health.endpoint_id = renewed.endpoint_id
             and health.failing_since < renewed.renewed_at`,
    values: [
      words(endpoints.map(({ endpointId }) => endpointUuid(endpointId))),
      times(endpoints.map(({ renewedAtMs }) => renewedAtMs)),
    ],
  });
}

/** Forgets endpoints that are not registered any more. */
export async function deleteHealth(pool: Pool, endpointIds: readonly string[]): Promise<void> {
  await pool.query('delete from dispatcher.endpoint_health where endpoint_id = any($1::uuid[])', [
    endpointIds.map(endpointUuid),
  ]);
}

interface HealthColumns {
  readonly endpoint_id: string;
  readonly failing_since: Date | null;
  readonly is_failing: boolean | null;
}
