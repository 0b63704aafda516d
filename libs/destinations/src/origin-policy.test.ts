import { describe, expect, test } from 'vitest';
import { badPorts } from './bad-ports.ts';
import { createOriginPolicy } from './origin-policy.ts';
import type { OriginVerdict } from './origin-policy.ts';

const byDefault = createOriginPolicy({ requireHttps: false, destinationPorts: undefined });
const allowed = { kind: 'allowed' };

function check(policy: typeof byDefault, text: string): OriginVerdict {
  return policy.check(new URL(text));
}

describe('by default', () => {
  test.each([
    'http://a.b/',
    'https://a.b/',
    'http://a.b:8080/',
    'https://a.b:65535/',
    'http://a.b:443/',
  ])('%s may be reached', (text) => {
    expect(check(byDefault, text)).toEqual(allowed);
  });

  test.each([22, 25, 53, 110, 389, 465, 587, 2049, 5060, 6000, 6667, 10080])(
    'port %i is refused, because it is that of another protocol',
    (port) => {
      expect(check(byDefault, `http://a.b:${port}/`)).toEqual({
        kind: 'refused',
        code: 'PORT_REFUSED',
        reason: `port ${port} is that of another protocol`,
      });
    },
  );

  test('the ports refused are those that fetch refuses', async () => {
    const refusedByFetch: number[] = [];
    // Beyond the last one of the list, this only shows that some more ports are good.
    for (let port = 0; port <= 10_100; port += 1) {
      if (await isBadPort(port)) refusedByFetch.push(port);
    }
    // The standard has added port 0 since, which no URL of a receiver may have in any case.
    expect(badPorts).toEqual([0, ...refusedByFetch]);
  });
});

describe('ports that are named', () => {
  const policy = createOriginPolicy({
    requireHttps: false,
    destinationPorts: [
      { first: 443, last: 443 },
      { first: 8_000, last: 8_999 },
      { first: 25, last: 25 },
    ],
  });

  test.each([
    'https://a.b/',
    'http://a.b:443/',
    'http://a.b:8000/',
    'https://a.b:8999/',
    'http://a.b:25/',
  ])('may be reached: %s', (text) => {
    expect(check(policy, text)).toEqual(allowed);
  });

  test.each(['http://a.b/', 'https://a.b:80/', 'http://a.b:7999/', 'https://a.b:9000/'])(
    'are the only ones: %s is refused',
    (text) => {
      expect(check(policy, text)).toMatchObject({ kind: 'refused', code: 'PORT_REFUSED' });
    },
  );
});

test('http is refused where https is required, whatever the port', () => {
  const policy = createOriginPolicy({ requireHttps: true, destinationPorts: undefined });
  for (const text of ['http://a.b/', 'http://a.b:443/', 'http://a.b:8080/']) {
    expect(check(policy, text)).toMatchObject({ kind: 'refused', code: 'HTTPS_REQUIRED' });
  }
  expect(check(policy, 'https://a.b/')).toEqual(allowed);
  expect(check(policy, 'https://a.b:8443/')).toEqual(allowed);
  expect(check(policy, 'https://a.b:25/')).toMatchObject({ code: 'PORT_REFUSED' });
});

/** Asks Node's own fetch, which judges the port before it would send. */
async function isBadPort(port: number): Promise<boolean> {
  const init: object = {
    dispatcher: {
      dispatch: () => {
        throw new Error('the port is good');
      },
    },
  };
  try {
    await fetch(`https://a.b:${port}/`, init);
    throw new Error('nothing answers there');
  } catch (error) {
    const cause = error instanceof Error ? String(error.cause) : '';
    if (!/bad port|the port is good/.test(cause)) throw error;
    return cause.includes('bad port');
  }
}
