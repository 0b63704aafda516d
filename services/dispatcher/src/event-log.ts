import {
  openKafkaEventLog,
  openPostgresEventLog,
  type AppendBell,
  type EventLogReader,
} from '@billhook/event-log';
import type { Pool } from '@billhook/postgres';
import type { Log } from '@billhook/runtime';

import type { DispatcherConfig } from './config.ts';

/** The schema of the event store that is read: the invoice service's. */
const EVENT_STORE_SCHEMA = 'invoice';

/** What a reader is for: to follow the lanes, or to look single events up. */
export type ReaderPurpose = 'follow' | 'look-up';

/** Opens a reader of the events: of Kafka if it is configured, else of the store itself. */
export function openEventLog(
  deps: { readonly pool: Pool; readonly log: Log; readonly bell?: AppendBell | undefined },
  config: Pick<DispatcherConfig, 'kafka' | 'databaseUrl' | 'lanes'>,
  purpose: ReaderPurpose,
): Promise<EventLogReader> {
  const { kafka, databaseUrl: connectionString, lanes } = config;
  if (kafka === undefined) {
    const { bell } = deps;
    const follows = purpose === 'follow';
    return openPostgresEventLog(deps, {
      schema: EVENT_STORE_SCHEMA,
      connectionString,
      bell,
      follows,
    });
  }
  const clientId = `billhook-dispatcher-${purpose}`;
  return openKafkaEventLog({ log: deps.log }, { ...kafka, clientId, lanes });
}
