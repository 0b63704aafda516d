import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { createAddressPolicy, LOOPBACK_RANGES } from './address-policy.ts';
import { specialIpv4Ranges, specialIpv6Ranges } from './special-ranges.ts';

const strict = createAddressPolicy({ allow: [] });

describe('by default', () => {
  test.each([...specialIpv4Ranges, ...specialIpv6Ranges])(
    '$cidr is refused from its first to its last address: $reason',
    ({ cidr }) => {
      for (const address of edgesOf(cidr)) {
        expect(strict.check(address), address).toMatchObject({ kind: 'refused' });
      }
    },
  );

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

  test('of NAT64 open what may be reached by its own number, and nothing more', () => {
    const withoutIpv4 = createAddressPolicy({ allow: ['64:ff9b::/96', '10.0.0.0/8'] });
    expect(withoutIpv4.check('64:ff9b::1.1.1.1')).toEqual({ kind: 'allowed' });
    expect(withoutIpv4.check('64:ff9b::10.0.0.1')).toEqual({ kind: 'allowed' });
    for (const address of ['64:ff9b::192.168.0.1', '64:ff9b::127.0.0.1', '64:ff9b:1::1']) {
      expect(withoutIpv4.check(address)).toEqual({ kind: 'refused', reason: 'NAT64' });
    }
  });

  test.each([
    ['64:ff9b:1::/48', '64:ff9b:1::1.1.1.1', '64:ff9b:1::10.0.0.1'],
    ['64:ff9b:1::/48', '64:ff9b:1:101:1:100::', '64:ff9b:1:a00:0:100::'],
    ['64:ff9b:1:ff00::/56', '64:ff9b:1:ff01:1:101::', '64:ff9b:1:ff0a::1:0:0'],
    ['64:ff9b:1:fffe::/64', '64:ff9b:1:fffe:1:101:100::', '64:ff9b:1:fffe:a:0:100::'],
    ['64:ff9b:1:ffff::/96', '64:ff9b:1:ffff::1.1.1.1', '64:ff9b:1:ffff::10.0.0.1'],
    ['64:ff9b::/32', '64:ff9b:1::1.1.1.1', '64:ff9b:1::127.0.0.1'],
    ['::/0', '64:ff9b::1.1.1.1', '64:ff9b:1::10.0.0.1'],
  ])('of local NAT64 look for the IPv4 address where it may be: %s', (cidr, good, bad) => {
    const opened = createAddressPolicy({ allow: [cidr] });
    expect(opened.check(good)).toEqual({ kind: 'allowed' });
    expect(opened.check(bad)).toEqual({ kind: 'refused', reason: 'NAT64' });
  });

  test('of local NAT64 open no internal address by bits that a NAT64 ignores', () => {
    const opened = createAddressPolicy({ allow: ['64:ff9b:1::/48'] });
    const nextTo10 = [
      '64:ff9b:1:a00:0:100:101:101',
      '64:ff9b:1:a00:0:1ff:0:1',
      '64:ff9b:1:a:0:100::',
    ];
    for (const address of nextTo10) {
      expect(opened.check(address), address).toEqual({ kind: 'refused', reason: 'NAT64' });
    }
    fc.assert(
      fc.property(fc.ipV4(), (ipv4) => {
        const isAllowed = opened.check(`64:ff9b:1::${ipv4}`).kind === 'allowed';
        return !isAllowed || strict.check(ipv4).kind === 'allowed';
      }),
    );
  });

  test('of link-local addresses take them with a zone', () => {
    const linkLocal = createAddressPolicy({ allow: ['fe80::/10'] });
    expect(linkLocal.check('fe80::1%eth0')).toEqual({ kind: 'allowed' });
  });

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

function edgesOf(cidr: string): string[] {
  const family = cidr.includes(':') ? ipaddr.IPv6 : ipaddr.IPv4;
  const first = family.networkAddressFromCIDR(cidr);
  const last = family.broadcastAddressFromCIDR(cidr);
  return [first.toString(), last.toString()];
}

function words(...lines: readonly string[]): string[] {
  return lines.join(' ').split(' ');
}
