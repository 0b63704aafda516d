import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAddressPolicy, LOOPBACK_RANGES } from './address-policy.ts';

const strict = createAddressPolicy({ allow: [] });

const hostile: readonly (readonly [reason: string, addresses: string])[] = [
  ['unspecified', '0.0.0.0 0.0.0.1 0.255.255.255 ::'],
  ['loopback', '127.0.0.1 127.0.0.53 127.1.2.3 127.255.255.255 ::1 0:0:0:0:0:0:0:1'],
  ['private', '10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255'],
  ['link-local', '169.254.0.1 169.254.169.254 169.254.170.2 169.254.255.255 fe80::1 fe80::1%lo'],
  ['link-local', 'febf:ffff::1 fe80::a9fe:a9fe'],
  ['cloud metadata', '168.63.129.16'],
  ['shared by carrier-grade NAT', '100.64.0.0 100.100.100.200 100.127.255.255'],
  ['reserved for protocols', '192.0.0.0 192.0.0.9 192.0.0.192 192.0.0.255 2001:10::1 2001:20::1'],
  ['reserved for protocols', '2001:1::1 2001:4:112::1 2001:30::1 2001:1ff:ffff::1'],
  ['documentation', '192.0.2.1 198.51.100.7 203.0.113.255 2001:db8::1 3fff::1 3fff:fff::1'],
  ['AS112', '192.31.196.1 192.175.48.1 2620:4f:8000::1'],
  ['AMT', '192.52.193.1'],
  ['6to4 relay', '192.88.99.1'],
  ['benchmarking', '198.18.0.0 198.19.255.255 2001:2::1'],
  ['multicast', '224.0.0.1 239.255.255.255 ff02::1 ff0e::1 ff00::'],
  ['reserved', '240.0.0.1 255.255.255.254 3ffe::1 4000::1 1000::1 8000::1 200::1 e000::1'],
  ['broadcast', '255.255.255.255'],
  ['IPv4-mapped', '::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:169.254.169.254'],
  ['IPv4-mapped', '::ffff:8.8.8.8 0:0:0:0:0:ffff:a00:1 ::FFFF:192.168.0.1'],
  ['IPv4-compatible', '::127.0.0.1 ::7f00:1 ::10.0.0.1 ::8.8.8.8 ::2'],
  ['IPv4-translated', '::ffff:0:127.0.0.1 ::ffff:0:7f00:1'],
  ['NAT64', '64:ff9b::127.0.0.1 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 64:ff9b:1:ffff::1'],
  ['6to4', '2002:7f00:1:: 2002:a00:1::1 2002:808:808::1'],
  ['Teredo', '2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  ['discard', '100::1'],
  ['segment routing', '5f00::1'],
  ['unique local', 'fc00::1 fd00::1 fd00:ec2::254 fdff:ffff::1'],
  ['site-local', 'fec0::1 feff::1'],
];

const hostileAddresses = hostile.flatMap(([reason, addresses]) =>
  addresses.split(' ').map((address) => [address, reason] as const),
);

describe('by default', () => {
  test('the table of hostile addresses is not a short one', () => {
    expect(hostileAddresses.length).toBeGreaterThan(90);
  });

  test.each(hostileAddresses)('%s is refused: %s', (address, reason) => {
    expect(strict.check(address)).toEqual({ kind: 'refused', reason });
  });

  test.each(
    words(
      '1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0',
      '126.255.255.255 128.0.0.1 169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.0',
      '192.167.255.255 198.17.255.255 198.20.0.0 223.255.255.255 168.63.129.15',
      '2606:4700::1111 2001:200::1 2001:4860:4860::8888 2a00::1 2003::1 3ffd::1',
      '3fff:1000::1 2620:4f:8001::1',
    ),
  )('%s, beside such a range, is allowed', (address) => {
    expect(strict.check(address)).toEqual({ kind: 'allowed' });
  });

  test.each(
    words(
      'localhost 127.1 0x7f000001 2130706433 0177.0.0.1 1.2.3.4.5 [::1] 1.1.1.1/32',
      '256.1.1.1 :::1 08.8.8.8',
    ).concat('', '1.1.1.1 '),
  )('%j, which is no plain address, is refused', (text) => {
    expect(strict.check(text)).toEqual({ kind: 'refused', reason: 'no IP address' });
  });
});

test('any text has a verdict, and no address outside global unicast IPv6 is allowed', () => {
  fc.assert(fc.property(fc.string(), (text) => strict.check(text).kind === 'refused'));
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      const globalUnicast = /^[23][0-9a-f]{3}:/i.test(address);
      return globalUnicast || strict.check(address).kind === 'refused';
    }),
  );
});

describe('allowed ranges', () => {
  const local = createAddressPolicy({ allow: LOOPBACK_RANGES });

  test.each(['127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.1'])(
    'open %s, also in its mapped form',
    (address) => {
      expect(local.check(address)).toEqual({ kind: 'allowed' });
    },
  );

  test.each(['10.0.0.1', '169.254.169.254', '::', '::127.0.0.1', '64:ff9b::127.0.0.1', 'fd00::1'])(
    'open nothing else, such as %s',
    (address) => {
      expect(local.check(address).kind).toBe('refused');
    },
  );

  test('of all addresses of a family open that family alone', () => {
    const v4 = createAddressPolicy({ allow: ['0.0.0.0/0'] });
    fc.assert(fc.property(fc.ipV4(), (address) => v4.check(address).kind === 'allowed'));
    expect(v4.check('fd00::1').kind).toBe('refused');
    expect(v4.check('fe80::1').kind).toBe('refused');
  });

  test.each(['10.0.0.0', '10/8', '10.0.0.0/33', 'fd00::/129', 'loopback', '10.0.0.0/8/8'])(
    'must be CIDRs, which %s is not',
    (cidr) => {
      expect(() => createAddressPolicy({ allow: [cidr] })).toThrow('is no CIDR');
    },
  );
});

function words(...lines: readonly string[]): string[] {
  return lines.join(' ').split(' ');
}
