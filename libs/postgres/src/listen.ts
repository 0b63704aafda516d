import { setTimeout as sleep } from 'node:timers/promises';

import type { Log } from '@billhook/runtime';
import pg from 'pg';

import { connectionOptions } from './pool.ts';

export interface ListenOptions {
  readonly connectionString: string;
  readonly channel: string;
  /**
   * Called for each notification with its payload, and without one after each connection, since some may
   * have been missed.
   */
  readonly onNotify: (payload?: string) => void;
  readonly log: Log;
}

/** A connection that hears what is notified on a channel. */
export interface Listener {
  close(): Promise<void>;
}

/** The statement that tells those who listen on a channel. */
export function notifyText(channel: string, payload = ''): string {
  return `notify ${pg.escapeIdentifier(channel)}, ${pg.escapeLiteral(payload)}`;
}

const RECONNECT_AFTER_MS = { first: 50, longest: 2_000 };

/**
 * Listens on a channel on a connection of its own, and connects again when that breaks.
 *
 * @throws when the first connection cannot be made.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const closing = new AbortController();
  let client = await connect(options);
  const following = follow();
  return {
    async close() {
      closing.abort();
      await client.end().catch(() => undefined);
      await following;
    },
  };

  async function follow(): Promise<void> {
    while (!closing.signal.aborted) {
      await ended(client);
      if (closing.signal.aborted) return;
      options.log.warn({ channel: options.channel }, 'the listening connection was lost');
      await reconnect();
    }
  }

  async function reconnect(): Promise<void> {
    for (let failures = 0; !closing.signal.aborted; failures += 1) {
      try {
        client = await connect(options);
        if (closing.signal.aborted) await client.end();
        return;
      } catch {
        const waitMs = RECONNECT_AFTER_MS.first * 2 ** failures;
        await sleep(Math.min(RECONNECT_AFTER_MS.longest, waitMs), undefined, {
          signal: closing.signal,
        }).catch(() => undefined);
      }
    }
  }
}

async function connect({ connectionString, channel, onNotify }: ListenOptions): Promise<pg.Client> {
  const client = new pg.Client(
    connectionOptions({ connectionString, applicationName: 'billhook listener' }),
  );
  client.on('notification', ({ payload }) => onNotify(payload));
  // What breaks ends the connection, and the end is waited for.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(`listen ${pg.escapeIdentifier(channel)}`);
  } catch (error) {
    await client.end();
    throw error;
  }
  onNotify();
  return client;
}

async function ended(client: pg.Client): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  client.once('end', resolve);
  await promise;
}
