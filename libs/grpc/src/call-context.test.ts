import { Metadata } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { readTenant, readTraceparent } from './call-context.ts';

function metadata(key: string, ...values: string[]): Metadata {
  const made = new Metadata();
  for (const value of values) {
    made.add(key, value);
  }
  return made;
}

describe('the tenant of a call', () => {
  test('is `default` when none is named', () => {
    expect(readTenant(new Metadata())).toBe('default');
  });

  test.each(['a', 'Acme_1-x', 'x'.repeat(63)])('may be %s', (tenant) => {
    expect(readTenant(metadata('billhook-tenant', tenant))).toBe(tenant);
  });

  const broken = ['a\n', 'a\r\nx: y', 'a\0', '\u010a'];
  test.each(['', '-a', 'a b', 'a,b', 'x'.repeat(64), 'é', ...broken])('cannot be %j', (tenant) => {
    const made = new Metadata();
    made.get = () => [tenant];
    expect(() => readTenant(made)).toThrow(/billhook-tenant/);
  });

  test('cannot be named twice', () => {
    expect(() => readTenant(metadata('billhook-tenant', 'a', 'a'))).toThrow(/one tenant/);
  });
});

describe('the traceparent of a call', () => {
  const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

  test('is passed on when it is valid', () => {
    expect(readTraceparent(metadata('traceparent', valid))).toBe(valid);
  });

  test.each([
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01',
    valid.toUpperCase(),
    `${valid}-more`,
    'nonsense',
  ])('counts as absent when it is %s', (value) => {
    expect(readTraceparent(metadata('traceparent', value))).toBeUndefined();
  });
});
