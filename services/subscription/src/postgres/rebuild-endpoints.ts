import { readAll } from '@billhook/event-store';
import { transaction } from '@billhook/postgres';
import type { Client, Pool } from '@billhook/postgres';
import { evolve } from '../domain/endpoint.ts';
import type { Endpoint } from '../domain/endpoint.ts';
import { decodeEndpointEvent } from '../protobuf/endpoint-events.ts';
import { deleteAllEndpoints, saveEndpoints, saveSubscriptions } from './endpoint-table.ts';
import { LANE, SCHEMA } from './migrations.ts';

/** Endpoints that are written at a time. */
const SAVE_AT_A_TIME = 500;

/**
 * Makes the read model anew from the events alone, in one transaction under the lane's lock: calls
 * that change something wait meanwhile, and readers see the one or the other. Secrets stay.
 *
 * @returns how many endpoints there are.
 */
export async function rebuildEndpoints(pool: Pool): Promise<number> {
  return transaction(pool, async (client) => {
    await client.query(`select from ${SCHEMA}.lane where lane = ${LANE} for update`);
    const endpoints = await replay(client);
    await deleteAllEndpoints(client);
    for (let start = 0; start < endpoints.length; start += SAVE_AT_A_TIME) {
      const part = endpoints.slice(start, start + SAVE_AT_A_TIME);
      await saveEndpoints(client, part);
      await saveSubscriptions(client, part);
    }
    return endpoints.length;
  });
}

async function replay(client: Client): Promise<readonly Endpoint[]> {
  const endpoints = new Map<string, Endpoint>();
  for await (const stored of readAll(client, SCHEMA)) {
    const { tenant, streamId: endpointId, position: revision, recordedAtMs } = stored;
    const event = decodeEndpointEvent(stored.data);
    const change = { tenant, endpointId, revision, recordedAtMs, event };
    const endpoint = evolve(endpoints.get(endpointId), change);
    if (endpoint === undefined) {
      endpoints.delete(endpointId);
    } else {
      endpoints.set(endpointId, endpoint);
    }
  }
  return [...endpoints.values()];
}
