import { describe, expect, test } from 'vitest';
import { createAddressPolicy } from './address-policy.ts';
import { createGuardedLookup, DestinationRefusedError } from './guarded-lookup.ts';
import type { Lookup } from './lookup.ts';
import { resolveDestination } from './resolve-destination.ts';

const policy = createAddressPolicy({ allow: [] });
const outside = { address: '1.1.1.1', family: 4 };
const outsideV6 = { address: '2606:4700::1111', family: 6 };
const inside = { address: '10.0.0.1', family: 4 };

const answers: Readonly<Record<string, Awaited<ReturnType<Lookup>>>> = {
  'good.example': [outside, outsideV6],
  'mixed.example': [outside, inside],
  'empty.example': [],
  'many.example': Array.from({ length: 5_000 }, (_, index) => ({
    address: `93.184.${index >> 8}.${index & 255}`,
    family: 4,
  })),
};
const lookup: Lookup = (hostname) => {
  const found = answers[hostname];
  return found === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(found);
};

const never: Lookup = () => Promise.reject(new Error('must not be asked'));
const hanging: Lookup = () => new Promise(() => undefined);

const resolve = (hostname: string, by: Lookup = lookup) =>
  resolveDestination(hostname, policy, { timeoutMs: 20, lookup: by });

const connect = (hostname: string, options: { all?: boolean; family?: number } = {}) =>
  new Promise((settle) => {
    createGuardedLookup(policy, lookup)(hostname, options, (error, address, family) => {
      settle(error ?? (family === undefined ? address : [address, family]));
    });
  });

describe('a destination', () => {
  test('is allowed when every address of its name is', async () => {
    const addresses = [outside, outsideV6];
    expect(await resolve('good.example')).toEqual({ kind: 'allowed', addresses });
  });

  test('is refused when one address of several is', async () => {
    const refused = { kind: 'refused', address: '10.0.0.1', reason: 'private' };
    expect(await resolve('mixed.example')).toEqual(refused);
  });

  test('that is an address is judged without a lookup', async () => {
    expect(await resolve('::1', never)).toMatchObject({ kind: 'refused', reason: 'loopback' });
    expect(await resolve('1.1.1.1', never)).toEqual({ kind: 'allowed', addresses: [outside] });
  });

  test('is unresolved when nobody knows it, it has no address, or no answer comes', async () => {
    expect((await resolve('unknown.example')).kind).toBe('unresolved');
    expect((await resolve('empty.example')).kind).toBe('unresolved');
    expect((await resolve('good.example', hanging)).kind).toBe('unresolved');
  });
});

describe('the lookup of a connection', () => {
  test('gives what was judged', async () => {
    expect(await connect('good.example', { all: true })).toEqual([outside, outsideV6]);
    expect(await connect('good.example')).toEqual(['1.1.1.1', 4]);
    expect(await connect('good.example', { family: 6 })).toEqual(['2606:4700::1111', 6]);
  });

  test('refuses a name with one refused address, whichever family is asked for', async () => {
    expect(await connect('mixed.example', { all: true })).toBeInstanceOf(DestinationRefusedError);
    expect(await connect('mixed.example', { family: 6 })).toBeInstanceOf(DestinationRefusedError);
  });

  test('fails for a name that nobody knows, or that has no address', async () => {
    expect(await connect('unknown.example')).toMatchObject({ message: 'ENOTFOUND' });
    expect(await connect('empty.example')).toMatchObject({ code: 'ENOTFOUND' });
  });

  test('has no more than eight addresses, however many the name has', async () => {
    expect(await connect('many.example', { all: true })).toHaveLength(8);
  });

  test('follows a name that changes: each connection is judged anew', async () => {
    const changing = [[outside], [inside]];
    const rebinding = createGuardedLookup(policy, () => Promise.resolve(changing.shift() ?? []));
    const once = () =>
      new Promise((settle) => {
        rebinding('rebind.example', {}, (error, address) => settle(error ?? address));
      });
    expect(await once()).toBe('1.1.1.1');
    expect(await once()).toMatchObject({ code: 'DESTINATION_REFUSED' });
  });
});
