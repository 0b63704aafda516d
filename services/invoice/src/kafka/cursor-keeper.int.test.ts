import { setTimeout as sleep } from 'node:timers/promises';
import { createLog, within } from '@billhook/runtime';
import { createTestDatabase } from '@billhook/testing';
import { expect, onTestFinished, test } from 'vitest';
import { createCursorKeeper } from './cursor-keeper.ts';
import { createLedLane } from './led-lane.ts';
import { createTestStore } from './relay.fixture.ts';

test('who waits for a cursor to be saved waits for no others that come meanwhile', async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.drop());
  const store = await createTestStore(database.connectionString);
  onTestFinished(() => store.close());
  const { pool } = store;
  const leases = {
    fence: (_client: unknown, lanes: readonly { readonly lane: number }[]) =>
      Promise.resolve(new Set(lanes.map(({ lane }) => lane))),
    refused: () => undefined,
  };
  const log = createLog({ level: 'silent', service: 'test' });
  const cursors = createCursorKeeper({ pool, leases, log }, () => undefined);
  const [left, busy] = [createLedLane(0, 1), createLedLane(1, 1)];
  const { signal } = new AbortController();

  const ending = new AbortController();
  async function keepBusy(): Promise<void> {
    for (let position = 1; !ending.signal.aborted; position += 1) {
      busy.cursor = { position, eventId: 'evt_1', offset: position };
      cursors.save(busy);
      await sleep(1);
    }
  }
  const keepingBusy = keepBusy();
  for (let position = 1; position <= 5; position += 1) {
    left.cursor = { position, eventId: 'evt_0', offset: position };
    cursors.save(left);
    const saved = cursors.saved(signal).then(() => 'saved');
    expect(await within(saved, 5_000, () => 'late')).toBe('saved');
    const { rows } = await pool.query('select position from invoice.relay_cursor where lane = 0');
    expect(rows).toEqual([{ position: BigInt(position) }]);
  }
  ending.abort();
  await keepingBusy;
  await cursors.saved(signal);
});
