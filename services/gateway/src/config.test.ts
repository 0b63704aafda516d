import { expect, test } from 'vitest';
import { readGatewayConfig } from './config.ts';

test('a gateway is called by names of its own machine, unless others may call it without a key', () => {
  expect(readGatewayConfig({}).anyHost).toBe(false);
  const outside = { BILLHOOK_HTTP_ADDR: '0.0.0.0:8080', BILLHOOK_ALLOW_ANONYMOUS: 'true' };
  expect(readGatewayConfig(outside).anyHost).toBe(true);
  expect(readGatewayConfig({ BILLHOOK_ALLOW_ANONYMOUS: 'true' }).anyHost).toBe(true);
});
