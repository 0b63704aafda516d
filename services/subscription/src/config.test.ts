import { readSettings } from '@billhook/runtime';
import { expect, test } from 'vitest';
import { subscriptionConfig } from './config.ts';

const storage = { databaseUrl: 'postgresql://127.0.0.1/x', secretKeys: [] };

function allowed(env: NodeJS.ProcessEnv): readonly string[] {
  const settings = readSettings({ BILLHOOK_ALLOW_ANONYMOUS: 'true', ...env });
  return subscriptionConfig(settings, storage).allowDestinations;
}

test('loopback may be reached when everything listens there', () => {
  expect(allowed({})).toEqual(['127.0.0.0/8', '::1/128']);
});

test.each([
  'BILLHOOK_HTTP_ADDR',
  'BILLHOOK_INVOICE_ADDR',
  'BILLHOOK_SUBSCRIPTION_ADDR',
  'BILLHOOK_DELIVERY_ADDR',
])('nothing internal may be reached when %s is open to others', (variable) => {
  expect(allowed({ [variable]: '0.0.0.0:9000' })).toEqual([]);
});

test('what is configured counts instead', () => {
  expect(allowed({ BILLHOOK_ALLOW_DESTINATIONS: '10.0.0.0/8' })).toEqual(['10.0.0.0/8']);
  expect(allowed({ BILLHOOK_ALLOW_DESTINATIONS: 'none' })).toEqual([]);
});

test('an address that others can reach has to be allowed by name', () => {
  const settings = readSettings({ BILLHOOK_SUBSCRIPTION_ADDR: '0.0.0.0:50052' });
  expect(() => subscriptionConfig(settings, storage)).toThrow('BILLHOOK_SUBSCRIPTION_ADDR');
});
