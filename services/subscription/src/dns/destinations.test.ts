import { createDestinationPolicy, parseWebhookUrl } from '@billhook/destinations';
import { createLog, ServiceError } from '@billhook/runtime';
import { readHostileDestinations, readPublicDestinations } from '@billhook/testing';
import { isIP } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { createReachableCheck } from './destinations.ts';
import type { DestinationRules } from '@billhook/destinations';
import type { DestinationEntry } from '@billhook/testing';

const log = createLog({ level: 'silent', service: 'test' });

const closed: DestinationRules = {
  allowDestinations: [],
  destinationPorts: undefined,
  requireHttps: false,
};

const registrable = (entry: DestinationEntry) => parseWebhookUrl(entry.url).kind === 'ok';

describe('what is registered', () => {
  test.each(readHostileDestinations().filter(registrable))(
    'must not lead where deliveries must not go: $url',
    async (entry) => {
      const refusal = await refuse(entry);
      expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'DESTINATION_REFUSED' });
      expect(refusal?.fieldViolations[0]?.description).toContain(`(${entry.expected})`);
    },
  );

  test.each(readPublicDestinations())('may lead elsewhere: $url', async (entry) => {
    expect(await refuse(entry)).toBeUndefined();
  });

  test('is told with the address if the URL has it, and without it if the URL has a name', async () => {
    const debug = vi.spyOn(log, 'debug');
    const literal = await refuse({ url: 'http://10.0.3.17/', addresses: [] });
    expect(literal?.fieldViolations[0]?.description).toBe(
      'must not lead to an internal address: 10.0.3.17 is refused (private)',
    );
    const name = await refuse({ url: 'http://db.internal/', addresses: ['1.1.1.1', '10.0.3.17'] });
    expect(name?.fieldViolations[0]?.description).toBe(
      'must not lead to an internal address: db.internal has one that is refused (private)',
    );
    expect(name?.message).not.toContain('10.0.3.17');
    expect(debug).toHaveBeenLastCalledWith(
      { hostname: 'db.internal', address: '10.0.3.17', reason: 'private' },
      expect.any(String),
    );
  });

  test.each<[string, Partial<DestinationRules>, string, string]>([
    [
      'http://public.example/',
      { requireHttps: true },
      'HTTPS_REQUIRED',
      'must begin with https://: only https is allowed',
    ],
    [
      'https://public.example:25/',
      {},
      'PORT_REFUSED',
      'must name another port: port 25 is that of another protocol',
    ],
    [
      'http://public.example/',
      { destinationPorts: [{ first: 443, last: 443 }] },
      'PORT_REFUSED',
      'must name another port: port 80 is not among those that are allowed',
    ],
  ])('must keep the rules: %s under %o', async (url, rules, reason, description) => {
    const refusal = await refuse({ url, addresses: ['1.1.1.1'] }, rules);
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', reason });
    expect(refusal?.fieldViolations).toMatchObject([{ field: 'url', description }]);
  });
});

/** Has it judged, and gives back the refusal. */
async function refuse(
  { url, addresses }: Pick<DestinationEntry, 'url' | 'addresses'>,
  rules: Partial<DestinationRules> = {},
): Promise<ServiceError | undefined> {
  const parsed = parseWebhookUrl(url);
  if (parsed.kind === 'invalid') throw new Error(`the URL ${parsed.message}`);
  const lookup = async () => addresses.map((address) => ({ address, family: isIP(address) }));
  const policy = createDestinationPolicy({ ...closed, ...rules });
  const requireReachable = createReachableCheck({ lookup, log }, policy);
  try {
    await requireReachable(parsed);
    return undefined;
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
}
