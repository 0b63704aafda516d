import type { Pool } from '@billhook/postgres';
import type { EndpointReader } from '../grpc/subscription-service.ts';
import type { WatchLog } from '../grpc/watch.ts';
import { whenAvailable } from './availability.ts';
import { getEndpoint, selectEndpoints } from './endpoint-table.ts';
import { readRevision } from './revision.ts';
import { selectSubscriptions } from './subscription-table.ts';
import {
  readHistory,
  readLatestPlace,
  readWatchedEndpoints,
  readWatchedPage,
} from './watch-log.ts';

/** @param pools.revision a pool of its own, so that the barrier waits for no other query. */
export function createEndpointReader(pools: {
  readonly pool: Pool;
  readonly revisionPool: Pool;
}): EndpointReader {
  const { pool, revisionPool } = pools;
  return {
    get: whenAvailable((key) => getEndpoint(pool, key)),
    list: whenAvailable((range) => selectEndpoints(pool, range)),
    listSubscriptions: whenAvailable((range) => selectSubscriptions(pool, range)),
    revision: whenAvailable(() => readRevision(revisionPool)),
  };
}

export function createWatchLog(pool: Pool): WatchLog {
  return {
    latest: whenAvailable(() => readLatestPlace(pool)),
    history: whenAvailable((after, limit) => readHistory(pool, after, limit)),
    endpoints: whenAvailable((endpointIds) => readWatchedEndpoints(pool, endpointIds)),
    page: whenAvailable((after, limit) => readWatchedPage(pool, after, limit)),
  };
}
