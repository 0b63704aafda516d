import type { Log } from '@billhook/runtime';
import type { Admin } from 'kafkajs';
import { createKafkaClient } from './client.ts';
import type { KafkaClientOptions } from './client.ts';
import { createAdmin, readEnds } from './topic.ts';
import type { PartitionEnds } from './topic.ts';

/** Tells where the partitions of a topic begin and end. */
export interface EndsReader {
  /**
   * Asks the broker now. While no broker answers it waits, or rejects.
   *
   * @returns undefined when the topic is missing.
   */
  read(): Promise<PartitionEnds[] | undefined>;
  close(): void;
}

/** Makes a reader; it connects when it is first asked. */
export function createEndsReader(
  deps: { readonly log: Log },
  options: Omit<KafkaClientOptions, 'signal'> & { readonly topic: string },
): EndsReader {
  let admin: { readonly connected: Promise<Admin>; readonly abort: AbortController } | undefined;
  let isClosed = false;

  function connect(): NonNullable<typeof admin> {
    const abort = new AbortController();
    const client = createAdmin(createKafkaClient(deps, { ...options, signal: abort.signal }));
    return { connected: client.connect().then(() => client), abort };
  }

  return {
    async read() {
      if (isClosed) throw new Error('The reader of ends is closed.');
      admin ??= connect();
      const own = admin;
      try {
        return await readEnds(await own.connected, options.topic);
      } catch (error) {
        // Whatever was wrong with it, the next one asks with another.
        own.abort.abort();
        if (admin === own) admin = undefined;
        throw error;
      }
    },
    close() {
      isClosed = true;
      admin?.abort.abort();
      admin = undefined;
    },
  };
}
