import { describe, expect, test } from 'vitest';
import { shareLookups } from './name-lookup.ts';
import type { LookupAddress } from './lookup.ts';

const address = { address: '1.1.1.1', family: 4 };

describe('lookups that are shared', () => {
  test('ask once for a name that many wait for, and again when that was answered', async () => {
    const asked: string[] = [];
    const answers: ((addresses: readonly LookupAddress[]) => void)[] = [];
    const lookup = shareLookups((hostname) => {
      asked.push(hostname);
      return new Promise((resolve) => answers.push(resolve));
    }, 8);
    const waiting = ['a', 'b', 'a', 'a'].map(lookup);
    expect(asked).toEqual(['a', 'b']);
    for (const answer of answers.splice(0)) answer([address]);
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => [address]));
    void lookup('a');
    expect(asked).toEqual(['a', 'b', 'a']);
  });

  test('fail for all who wait, and are forgotten', async () => {
    let asked = 0;
    const lookup = shareLookups(() => {
      asked += 1;
      return Promise.reject(new Error(`answer ${asked}`));
    }, 8);
    const waiting = [lookup('a'), lookup('a')].map((each) => expect(each).rejects.toThrow('1'));
    await Promise.all(waiting);
    await expect(lookup('a')).rejects.toThrow('answer 2');
  });

  test('are bounded: one name too many is refused, and those under way go on', async () => {
    const lookup = shareLookups(() => new Promise(() => undefined), 2);
    void lookup('a');
    void lookup('b');
    await expect(lookup('c')).rejects.toMatchObject({ code: 'TOO_MANY_LOOKUPS' });
    void lookup('a');
  });
});
