import { setTimeout as sleep } from 'node:timers/promises';

import { laneOf } from '@billhook/event-store';
import { createMonitoring } from '@billhook/metrics';
import { createLog } from '@billhook/runtime';
import { expect, test, vi } from 'vitest';

import { firstSeen, invoiceIds, useDispatchers } from './dispatchers.fixture.ts';

const LANES = 2;
const dispatchers = useDispatchers({ lanes: LANES });

/** An invoice whose events are in that lane. */
function invoiceIn(lane: number): string {
  const found = invoiceIds(64).find((id) => laneOf('default', id, LANES) === lane);
  if (found === undefined) throw new Error(`No invoice is in lane ${lane}.`);
  return found;
}

/** A log, and what is said of halted lanes in it. */
function listenToLog() {
  const log = createLog({ level: 'silent', service: 'test' });
  const error = vi.spyOn(log, 'error');
  const info = vi.spyOn(log, 'info');
  const said = (): unknown[] => [...error.mock.calls, ...info.mock.calls];
  return { log, said };
}

async function lastPosition(): Promise<number> {
  const result = await dispatchers.pool.query<{ position: bigint }>(
    'select position from invoice.lane where lane = 0',
  );
  return Number(result.rows[0]?.position);
}

test('another event at progress halts its lane after a restart, until the first one is back', async () => {
  const [invoice, other] = [invoiceIn(0), invoiceIn(1)];
  const receiver = await dispatchers.receive();
  dispatchers.register(receiver);
  const first = await dispatchers.start();
  await dispatchers.appendToEach([invoice], 2);
  await receiver.waitFor(2, 5_000);
  await first.stop();

  const position = await lastPosition();
  const at = 'where lane = 0 and position = $1';
  const { rows } = await dispatchers.pool.query<{ id: string }>(
    `select id from invoice.event ${at}`,
    [position],
  );
  const put = (id: string | undefined) =>
    dispatchers.pool.query(`update invoice.event set id = $2 ${at}`, [position, id]);
  await put('00000000-0000-4000-8000-000000000000');
  const { log, said } = listenToLog();
  const monitoring = createMonitoring();
  await dispatchers.start({}, log, monitoring);
  await dispatchers.appendToEach([invoice, other], 1);
  await receiver.waitFor(3, 5_000);
  await sleep(2_500);
  expect(receiver.requests).toHaveLength(3);
  const why = expect.objectContaining({ lane: 0, position, reason: 'another_event' });
  expect(said()).toEqual([[why, 'a lane is halted: nothing is skipped']]);
  const problem = `lane 0 is halted at position ${position}: another_event`;
  expect(await monitoring.problems()).toEqual([problem]);
  const halted = 'billhook_dispatcher_halted_lanes{reason="another_event"} 1';
  expect(await monitoring.text()).toContain(halted);

  await put(rows[0]?.id);
  await receiver.waitFor(4, 5_000);
  expect(said().at(-1)).toEqual([why, 'the lane goes on']);
});

test('a gap halts its lane and no other, and the lane goes on when it is filled', async () => {
  const [invoice, other] = [invoiceIn(0), invoiceIn(1)];
  const receiver = await dispatchers.receive();
  dispatchers.register(receiver);
  await dispatchers.appendToEach([invoice, other], 3);
  const position = (await lastPosition()) - 1;
  const move = (from: number, to: number) =>
    dispatchers.pool.query('update invoice.event set lane = $1 where lane = $2 and position = $3', [
      to,
      from,
      position,
    ]);
  await move(0, 1_000);
  const { log, said } = listenToLog();
  await dispatchers.start({}, log);
  await receiver.waitFor(4, 5_000);
  await sleep(2_500);
  expect(receiver.requests).toHaveLength(4);
  expect(firstSeen(receiver.requests, invoice)).toEqual([1]);
  const why = expect.objectContaining({ lane: 0, position, reason: 'gap' });
  expect(said()).toEqual([[why, 'a lane is halted: nothing is skipped']]);

  await move(1_000, 0);
  await receiver.waitFor(6, 5_000);
  expect(firstSeen(receiver.requests, invoice)).toEqual([1, 2, 3]);
  expect(said().at(-1)).toEqual([why, 'the lane goes on']);
});
