import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { unlessAborted, within } from './waiting.ts';

const never = new Promise<never>(() => undefined);

function fail(): never {
  throw new Error('too late');
}

describe('a wait for a time', () => {
  test('gives what the work came to, and its error', async () => {
    expect(await within(Promise.resolve(7), 60_000, () => 'late')).toBe(7);
    await expect(within(Promise.reject(new Error('no')), 60_000, () => 'late')).rejects.toThrow(
      'no',
    );
  });

  test('gives what comes instead once the time is over, or throws it', async () => {
    expect(await within(never, 1, () => 'late')).toBe('late');
    await expect(within(never, 1, fail)).rejects.toThrow('too late');
  });

  test('hears nothing of work that fails later', async () => {
    const { promise, reject } = Promise.withResolvers<number>();
    expect(await within(promise, 1, () => 'late')).toBe('late');
    reject(new Error('nobody waits any more'));
    // An error that nobody takes would fail the run.
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

describe('a wait until a signal', () => {
  test('gives what the work came to, and lets go of the signal', async () => {
    const { signal } = new AbortController();
    expect(await unlessAborted(Promise.resolve(7), signal)).toBe(7);
    await expect(unlessAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('throws its reason', async () => {
    const ended = new AbortController();
    const waiting = unlessAborted(never, ended.signal);
    ended.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });
});
