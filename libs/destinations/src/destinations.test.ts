import { readHostileDestinations, readPublicDestinations } from '@billhook/testing';
import { isIP } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createAddressPolicy } from './address-policy.ts';
import { createCheckedLookup } from './guarded-lookup.ts';
import { resolveDestination } from './resolve-destination.ts';
import { parseWebhookUrl } from './webhook-url.ts';
import type { DestinationEntry } from '@billhook/testing';
import type { Lookup } from './lookup.ts';

const policy = createAddressPolicy({ allow: [] });
const hostile = readHostileDestinations();

test('the table of hostile destinations is not a short one', () => {
  expect(hostile.length).toBeGreaterThan(200);
  expect(new Set(hostile.map(({ url }) => url)).size).toBe(hostile.length);
});

test.each(hostile)('$url must not be reached: $expected', async (entry) => {
  const parsed = parseWebhookUrl(entry.url);
  if (parsed.kind === 'invalid') {
    expect(parsed.reason).toBe(entry.expected);
    return;
  }
  const lookup = lookupOf(entry);
  const resolution = await register(parsed.hostname, lookup);
  expect(resolution).toMatchObject({ kind: 'refused', reason: entry.expected });
  await expect(connect(parsed.url, lookup)).rejects.toMatchObject({
    code: 'DESTINATION_REFUSED',
    message: expect.stringContaining(entry.expected),
  });
});

describe('a public destination', () => {
  test.each(readPublicDestinations())('$url is reached at $expected', async (entry) => {
    const parsed = parseWebhookUrl(entry.url);
    if (parsed.kind === 'invalid') throw new Error(parsed.reason);
    expect(parsed.hostname).toBe(entry.expected);
    const lookup = lookupOf(entry);
    expect((await register(parsed.hostname, lookup)).kind).toBe('allowed');
    const addresses = entry.addresses.length === 0 ? [entry.expected] : entry.addresses;
    expect((await connect(parsed.url, lookup)).map(({ address }) => address)).toEqual(addresses);
  });
});

function register(hostname: string, lookup: Lookup): ReturnType<typeof resolveDestination> {
  return resolveDestination(hostname, policy, { timeoutMs: 1_000, lookup });
}

/** The host as a connection gets it: taken from what was kept of the URL. */
function connect(url: string, lookup: Lookup): ReturnType<Lookup> {
  const hostname = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
  return createCheckedLookup(policy, lookup)(hostname);
}

function lookupOf({ addresses }: DestinationEntry): Lookup {
  return async (hostname) => {
    if (addresses.length === 0) throw new Error(`${hostname} must not be looked up`);
    return addresses.map((address) => ({ address, family: isIP(address) }));
  };
}
