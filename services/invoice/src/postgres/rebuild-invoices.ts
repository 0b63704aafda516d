import { readAll } from '@billhook/event-store';
import { transaction } from '@billhook/postgres';
import { evolve } from '../domain/invoice.ts';
import { decodeInvoiceEvent } from '../protobuf/invoice-events.ts';
import { loadWorkingInvoices, saveWorkingInvoices } from './invoice-aggregate.ts';
import { deleteInvoices } from './invoice-table.ts';
import { SCHEMA } from './migrations.ts';
import type { StoredEvent } from '@billhook/event-store';
import type { Client, Pool } from '@billhook/postgres';

/** Events that are held in memory and saved at a time. */
const EVENTS_AT_A_TIME = 1_000;

/**
 * Makes the read model anew from the events alone.
 *
 * It happens in one transaction with all lanes locked. So mutations wait, or are answered
 * `UNAVAILABLE` if it takes long, and readers see the old rows until the new ones are complete.
 *
 * @returns how many events were read.
 */
export async function rebuildInvoices(pool: Pool): Promise<{ readonly events: number }> {
  return transaction(pool, async (client) => {
    await lockAllLanes(client);
    await deleteInvoices(client);
    let count = 0;
    for await (const events of inBatches(readAll(client, SCHEMA))) {
      await applyEvents(client, events);
      count += events.length;
    }
    return { events: count };
  });
}

/** Nobody appends until the transaction ends. Ascending, as everybody else locks lanes. */
async function lockAllLanes(client: Client): Promise<void> {
  await client.query(`select lane from ${SCHEMA}.lane order by lane for update`);
}

async function applyEvents(client: Client, events: readonly StoredEvent[]): Promise<void> {
  const keys = events.map(({ tenant, streamId }) => ({ tenant, invoiceId: streamId }));
  const working = await loadWorkingInvoices(client, keys);
  for (const { tenant, streamId: invoiceId, version, recordedAtMs, data } of events) {
    const event = decodeInvoiceEvent(data);
    const before = working.find({ tenant, invoiceId });
    const invoice = evolve(before, { tenant, invoiceId, recordedAtMs, event });
    if (invoice.version !== version) {
      throw new Error(`Invoice ${tenant}/${invoiceId} has version ${version} out of its turn`);
    }
    working.put(invoice);
  }
  await Promise.all(saveWorkingInvoices(client, working));
}

async function* inBatches(
  events: AsyncIterable<StoredEvent>,
): AsyncGenerator<readonly StoredEvent[], void, undefined> {
  let batch: StoredEvent[] = [];
  for await (const event of events) {
    batch.push(event);
    if (batch.length === EVENTS_AT_A_TIME) {
      yield batch;
      batch = [];
    }
  }
  yield batch;
}
