import type { Appended } from '@billhook/event-store';
import { expect, test } from 'vitest';
import { rememberRevision } from './revision.ts';

/** A store's lane whose position is read, counted, and said to have been appended to. */
function startLane() {
  const lane = { position: 1n, reads: 0 };
  const listeners: ((appended: Appended) => void)[] = [];
  const revision = rememberRevision(
    async () => {
      lane.reads += 1;
      const { position } = lane;
      await Promise.resolve();
      return position;
    },
    (listener) => listeners.push(listener),
  );
  const tell = (appended: Appended) => listeners.forEach((listener) => listener(appended));
  return { lane, revision, tell };
}

test('the revision is read once, and again after an append', async () => {
  const { lane, revision, tell } = startLane();
  expect([await revision(), await revision()]).toEqual([1n, 1n]);
  expect(lane.reads).toBe(1);
  lane.position = 2n;
  tell([]);
  expect([await revision(), await revision()]).toEqual([2n, 2n]);
  expect(lane.reads).toBe(2);
});

test('what was read while something was appended is not remembered', async () => {
  const { lane, revision, tell } = startLane();
  const asked = revision();
  lane.position = 2n;
  tell([]);
  await asked;
  expect(await revision()).toBe(2n);
});

test('after a commit that was not answered nothing is remembered until the next one is', async () => {
  const { lane, revision, tell } = startLane();
  tell('unknown');
  expect(await revision()).toBe(1n);
  // Only now does the commit come through, and nobody says so.
  lane.position = 2n;
  expect(await revision()).toBe(2n);
  tell([]);
  await revision();
  const { reads } = lane;
  await revision();
  expect(lane.reads).toBe(reads);
});
