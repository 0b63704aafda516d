import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDnsServer } from '@billhook/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createNameLookup } from './name-lookup.ts';
import type { DnsAnswer, DnsServer } from '@billhook/testing';

const HOSTS = `
127.0.0.1  localhost   # this machine
::1        localhost ip6-localhost
10.1.2.3   Files.Example alias
10.1.2.4   files.example
10.1.2.4   files.example
fd00::1    files.example
nonsense   broken.example
`;

const answers: Readonly<Record<string, DnsAnswer>> = {
  'both.example': ['93.184.216.34', '2606:2800:220:1::1'],
  'v6.example': ['2606:2800:220:1::1'],
  'empty.example': [],
  'failed.example': 'failed',
};

let folder: string;
let dns: DnsServer;
let lookup: ReturnType<typeof createNameLookup>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'billhook-hosts-'));
  await writeFile(join(folder, 'hosts'), HOSTS);
  dns = await startDnsServer(({ name }) =>
    name.startsWith('silent') ? 'silent' : (answers[name] ?? 'unknown'),
  );
  lookup = createNameLookup({ servers: [dns.address], hostsFile: join(folder, 'hosts') });
});
afterEach(async () => {
  await dns.close();
  await rm(folder, { recursive: true });
});

describe('a name', () => {
  test('in the hosts file has all the addresses that stand there, and DNS is not asked', async () => {
    const expected = [
      { address: '10.1.2.3', family: 4 },
      { address: '10.1.2.4', family: 4 },
      { address: 'fd00::1', family: 6 },
    ];
    for (const name of ['files.example', 'FILES.example', 'files.example.']) {
      expect(await lookup(name)).toEqual(expected);
    }
    expect(await lookup('alias')).toEqual(expected.slice(0, 1));
    expect(dns.questions).toEqual([]);
  });

  test('that means this machine has its addresses, whatever DNS would say', async () => {
    const bare = createNameLookup({ servers: [dns.address], hostsFile: join(folder, 'none') });
    for (const name of ['localhost', 'localhost.', 'a.localhost']) {
      expect((await bare(name)).map(({ address }) => address)).toEqual(['127.0.0.1', '::1']);
    }
    expect(dns.questions).toEqual([]);
  });

  test('has the addresses of both families that DNS knows', async () => {
    expect(await lookup('both.example')).toEqual([
      { address: '93.184.216.34', family: 4 },
      { address: '2606:2800:220:1::1', family: 6 },
    ]);
    expect(await lookup('v6.example')).toEqual([{ address: '2606:2800:220:1::1', family: 6 }]);
    expect(dns.questions).toHaveLength(4);
  });

  test.each([
    ['unknown.example', 'ENOTFOUND'],
    ['empty.example', 'ENODATA'],
    ['failed.example', 'ESERVFAIL'],
    ['a!b.example', 'EBADNAME'],
  ])('such as %s has none, and says why: %s', async (name, code) => {
    await expect(lookup(name)).rejects.toMatchObject({ name: 'NameNotResolvedError', code });
  });

  test('is asked for anew each time, because nothing is kept of an answer', async () => {
    await lookup('v6.example');
    await lookup('v6.example');
    expect(dns.questions.filter(({ type }) => type === 'AAAA')).toHaveLength(2);
  });
});

test('names whose servers say nothing make no other wait', async () => {
  const silent = Array.from({ length: 500 }, (_, index) => lookup(`silent-${index}.example`));
  const gaveUp = Promise.allSettled(silent);
  await expect.poll(() => dns.questions.length, { timeout: 10_000 }).toBe(2 * silent.length);
  expect(lookup.underWay()).toBe(silent.length);
  const beginMs = performance.now();
  for (let count = 0; count < 20; count += 1) await lookup('both.example');
  expect(performance.now() - beginMs).toBeLessThan(1_000);
  const first = await Promise.race([gaveUp, Promise.resolve('waiting')]);
  expect(first).toBe('waiting');
  for (const each of await gaveUp) {
    expect(each).toMatchObject({ status: 'rejected', reason: { code: 'ETIMEOUT' } });
  }
  expect(lookup.underWay()).toBe(0);
});
