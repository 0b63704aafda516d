import { expect, test } from 'vitest';
import type { EndpointEvent } from '../domain/endpoint.ts';
import { decodeEndpointEvent, encodeEndpointEvent } from './endpoint-events.ts';

/** The bytes in hex are for ever: what was stored once must stay readable. */
const golden: readonly (readonly [EndpointEvent, string])[] = [
  [
    { type: 'endpoint_created', url: 'https://a.example/' },
    '0a140a1268747470733a2f2f612e6578616d706c652f',
  ],
  [
    { type: 'subscription_added', event: '*', registeredAtMs: 1_700_000_000_123, filter: null },
    '12100a012a120b0880e2cfaa0610c0a9d33a',
  ],
  [
    {
      type: 'subscription_added',
      event: '*',
      registeredAtMs: 1_700_000_000_123,
      filter: '{"event":"a"}',
    },
    '121f0a012a120b0880e2cfaa0610c0a9d33a1a0d7b226576656e74223a2261227d',
  ],
  [
    { type: 'subscription_filter_changed', event: '*', filter: '{"event":"a"}' },
    '5a120a012a120d7b226576656e74223a2261227d',
  ],
  [{ type: 'subscription_filter_changed', event: '*', filter: null }, '5a030a012a'],
  [{ type: 'subscription_removed', event: 'invoice_paid' }, '1a0e0a0c696e766f6963655f70616964'],
  [{ type: 'endpoint_removed' }, '2200'],
  [{ type: 'endpoint_paused' }, '2a00'],
  [{ type: 'endpoint_resumed' }, '3200'],
  [{ type: 'endpoint_disabled', reason: 'gone' }, '3a060a04676f6e65'],
  [{ type: 'endpoint_enabled' }, '4200'],
  [
    { type: 'endpoint_updated', changes: { url: 'https://b.example/', description: '' } },
    '4a160a1268747470733a2f2f622e6578616d706c652f1200',
  ],
  [{ type: 'endpoint_updated', changes: { description: 'x' } }, '4a03120178'],
  [
    { type: 'endpoint_updated', changes: { headerNames: ['authorization', 'x-a'] } },
    '4a161a140a0d617574686f72697a6174696f6e0a03782d61',
  ],
  [{ type: 'endpoint_updated', changes: { headerNames: [] } }, '4a021a00'],
  [
    {
      type: 'endpoint_updated',
      changes: { rateLimitPerSecond: 0.5, timeoutMs: 2_500, maxInFlight: 3 },
    },
    '4a1521000000000000e03f2a0808021080cab5ee013003',
  ],
  [
    {
      type: 'endpoint_updated',
      changes: { rateLimitPerSecond: null, timeoutMs: null, maxInFlight: null },
    },
    '4a0d2100000000000000002a003000',
  ],
  [
    {
      type: 'endpoint_updated',
      changes: { circuitFailures: 4, circuitLongestWaitMs: 2_500 },
    },
    '4a0c3804420808021080cab5ee01',
  ],
  [
    {
      type: 'endpoint_updated',
      changes: { circuitFailures: null, circuitLongestWaitMs: null },
    },
    '4a0438004200',
  ],
  [{ type: 'secret_rotated', previousValidUntilMs: 1_700_000_000_000 }, '52080a060880e2cfaa06'],
];

test.each(golden)('$type is stored as ever, and read back', (event, hex) => {
  expect(Buffer.from(encodeEndpointEvent(event)).toString('hex')).toBe(hex);
  expect(decodeEndpointEvent(Buffer.from(hex, 'hex'))).toEqual(event);
});

test('an event of an unknown kind is an error', () => {
  expect(() => decodeEndpointEvent(Buffer.alloc(0))).toThrow('does not know');
});
