import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeInvoiceEvent, encodeInvoiceEvent } from './invoice-events.ts';
import { readTimestampMs, writeTimestampMs } from '@billhook/contracts';
import type { InvoiceEvent } from '../domain/invoice.ts';

const MIN_TIME_MS = Date.parse('0001-01-01T00:00:00Z');
const MAX_TIME_MS = Date.parse('9999-12-31T23:59:59.999Z');

const dueAtMs = Date.parse('2024-04-15T00:00:00Z');
const paidAtMs = Date.parse('2024-03-20T10:00:00.123Z');

/**
 * Each event as it is stored, byte by byte. Events are kept for ever: these bytes may get company,
 * and never change.
 */
const golden: readonly (readonly [name: string, event: InvoiceEvent, hex: string])[] = [
  [
    'created, with all fields',
    {
      type: 'invoice_created',
      amount: { currency: 'USD', amountMinor: 155_050n },
      dueAtMs,
      description: 'Miete, März',
    },
    '0a260a0e0a03555344108e0c1880cab5ee0112060880dcf1b0061a0c4d696574652c204dc3a4727a',
  ],
  [
    'created, with an amount alone',
    {
      type: 'invoice_created',
      amount: { currency: 'JPY', amountMinor: 200n },
      dueAtMs: null,
      description: null,
    },
    '0a0a0a080a034a505910c801',
  ],
  [
    'updated, with all fields',
    {
      type: 'invoice_updated',
      changes: { amount: { currency: 'KWD', amountMinor: 1n }, dueAtMs, description: 'x' },
    },
    '12370a1f0a06616d6f756e740a086475655f646174650a0b6465736372697074696f6e12090a034b' +
      '574418c0843d1a060880dcf1b006220178',
  ],
  [
    'updated, with fields cleared',
    { type: 'invoice_updated', changes: { dueAtMs: null, description: null } },
    '12190a170a086475655f646174650a0b6465736372697074696f6e',
  ],
  [
    'updated to an empty description',
    { type: 'invoice_updated', changes: { description: '' } },
    '12110a0d0a0b6465736372697074696f6e2200',
  ],
  [
    'paid',
    {
      type: 'invoice_paid',
      amountReceived: { currency: 'USD', amountMinor: 155_000n },
      paidAtMs,
    },
    '1a170a080a03555344108e0c120b08a0e7eaaf0610c0a9d33a',
  ],
];

describe.each(golden)('the bytes of an event: %s', (_name, event, hex) => {
  test('are written as they always were', () => {
    expect(Buffer.from(encodeInvoiceEvent(event)).toString('hex')).toBe(hex);
  });

  test('are read as they always were', () => {
    expect(decodeInvoiceEvent(Buffer.from(hex, 'hex'))).toEqual(event);
  });
});

test('bytes that are no event of this service are not taken for one', () => {
  for (const hex of ['', '0a00', '1a00', 'ffff', '12080a06616d6f756e74']) {
    expect(() => decodeInvoiceEvent(Buffer.from(hex, 'hex'))).toThrow();
  }
});

describe('times', () => {
  test('survive the way there and back to the millisecond, before and after 1970', () => {
    fc.assert(
      fc.property(fc.integer({ min: MIN_TIME_MS, max: MAX_TIME_MS }), (timeMs) => {
        const timestamp = writeTimestampMs(timeMs);
        expect(timestamp.nanos).toBeGreaterThanOrEqual(0);
        expect(readTimestampMs(timestamp)).toBe(timeMs);
      }),
    );
  });

  test('lose what is finer than a millisecond', () => {
    expect(readTimestampMs({ seconds: 1n, nanos: 999_999_999 })).toBe(1_999);
    expect(readTimestampMs({ seconds: -1n, nanos: 1 })).toBe(-1_000);
  });

  test('outside the years 1 to 9999, or with nanos that are none, are no times', () => {
    expect(readTimestampMs({ seconds: -62_135_596_801n, nanos: 0 })).toBeUndefined();
    expect(readTimestampMs({ seconds: 253_402_300_800n, nanos: 0 })).toBeUndefined();
    expect(readTimestampMs({ seconds: 0n, nanos: -1 })).toBeUndefined();
    expect(readTimestampMs({ seconds: 0n, nanos: 1_000_000_000 })).toBeUndefined();
  });
});
