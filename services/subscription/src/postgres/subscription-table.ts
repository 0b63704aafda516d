import type { Pool } from '@billhook/postgres';
import type { ListedSubscription, SubscriptionRange } from '../grpc/subscription-service.ts';
import { fromUuid, toUuid } from './ids.ts';
import { SCHEMA } from './migrations.ts';

/** Reads the first subscriptions of a range, in the order of endpoint and event name. */
export async function selectSubscriptions(
  pool: Pool,
  { tenant, after, limit }: SubscriptionRange,
): Promise<readonly ListedSubscription[]> {
  const { rows } = await pool.query<SubscriptionRow>({
    name: 'select_subscriptions',
    text: `
select endpoint_id, event, url, registered_at_ms, filter
from ${SCHEMA}.endpoint join ${SCHEMA}.subscription using (endpoint_id)
where tenant = $1 and ($2::uuid is null or (endpoint_id, event) > ($2::uuid, $3::text))
order by endpoint_id, event
limit $4`,
    values: [tenant, after && toUuid(after.endpointId), after && after.event, limit],
  });
  return rows.map((row) => ({
    endpointId: fromUuid(row.endpoint_id),
    event: row.event,
    url: row.url,
    registeredAtMs: Number(row.registered_at_ms),
    filter: row.filter,
  }));
}

interface SubscriptionRow {
  readonly endpoint_id: string;
  readonly event: string;
  readonly url: string;
  readonly registered_at_ms: bigint;
  readonly filter: string | null;
}
