import { expect, test } from 'vitest';
import { rememberRevision } from './revision.ts';

/** A store's lane whose position is read, and of whose commits is told. */
function startLane() {
  const lane = { position: 1n, reads: 0 };
  const listeners: (() => void)[] = [];
  const revision = rememberRevision(
    async () => {
      lane.reads += 1;
      const { position } = lane;
      await Promise.resolve();
      return position;
    },
    (listener) => listeners.push(listener),
  );
  const tell = () => listeners.forEach((listener) => listener());
  return { lane, revision, tell };
}

test('the revision is read once, and again after a commit', async () => {
  const { lane, revision, tell } = startLane();
  expect([await revision(), await revision()]).toEqual([1n, 1n]);
  expect(lane.reads).toBe(1);
  lane.position = 2n;
  tell();
  expect([await revision(), await revision()]).toEqual([2n, 2n]);
  expect(lane.reads).toBe(2);
});

test('what was read while something was committed is not remembered', async () => {
  const { lane, revision, tell } = startLane();
  const asked = revision();
  lane.position = 2n;
  tell();
  await asked;
  expect(await revision()).toBe(2n);
});
