import { invoiceEventsV1 } from '@billhook/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PING_BODY, renderBody } from './body.ts';
import { formatDecimal } from './decimal.ts';
import { formatTime, formatTimestamp } from './time.ts';
import { UnknownEventError } from './unknown-event-error.ts';

type Change = NonNullable<invoiceEventsV1.InvoiceEvent['change']>;

const recordedAtMs = Date.parse('2024-03-14T15:00:00Z');
const dueDate = timestamp('2024-04-15T00:00:00Z');

/**
 * Version 1 of each body, byte by byte. Receivers have these bytes and their signatures: they may get
 * company, and never change.
 */
const golden: readonly (readonly [name: string, change: Change, body: string])[] = [
  [
    'created, with all fields',
    {
      $case: 'created',
      value: { amount: usd(200n, 0), dueDate, description: 'not in the body' },
    },
    '{"event":"invoice_created","data":{"invoice_id":"123","amount":200,"status":"pending"}}',
  ],
  [
    'created, in a currency of three digits',
    {
      $case: 'created',
      value: { amount: money('KWD', 0n, 1_000_000), dueDate: undefined, description: undefined },
    },
    '{"event":"invoice_created","data":{"invoice_id":"123","amount":0.001,"status":"pending"}}',
  ],
  [
    'updated, with all fields',
    {
      $case: 'updated',
      value: {
        changedFields: ['description', 'due_date', 'amount'],
        amount: usd(1_550n, 500_000_000),
        dueDate,
        description: 'Miete "März"\n\u2028\u{1F4B6}\ud800',
      },
    },
    '{"event":"invoice_updated","data":{"invoice_id":"123","status":"updated","updated_fields":' +
      '{"amount":1550.5,"due_date":"2024-04-15T00:00:00Z",' +
      '"description":"Miete \\"März\\"\\n\u2028\u{1F4B6}\ufffd"},' +
      '"updated_at":"2024-03-14T15:00:00Z"}}',
  ],
  [
    'updated, with fields cleared',
    {
      $case: 'updated',
      value: {
        changedFields: ['due_date', 'description'],
        amount: undefined,
        dueDate: undefined,
        description: undefined,
      },
    },
    '{"event":"invoice_updated","data":{"invoice_id":"123","status":"updated","updated_fields":' +
      '{"due_date":null,"description":null},"updated_at":"2024-03-14T15:00:00Z"}}',
  ],
  [
    'updated, to an empty description',
    {
      $case: 'updated',
      value: { changedFields: ['description'], amount: usd(9n, 0), dueDate, description: '' },
    },
    '{"event":"invoice_updated","data":{"invoice_id":"123","status":"updated","updated_fields":' +
      '{"description":""},"updated_at":"2024-03-14T15:00:00Z"}}',
  ],
  [
    'paid',
    {
      $case: 'paid',
      value: { amountReceived: usd(1_550n, 0), paidAt: timestamp('2024-03-20T10:00:00.120Z') },
    },
    '{"event":"invoice_paid","data":{"invoice_id":"123","status":"paid","amount_received":1550,' +
      '"currency":"USD","paid_at":"2024-03-20T10:00:00.120Z"}}',
  ],
];

describe('version 1 of the body', () => {
  test.each(golden)('has always these bytes: %s', (_name, change, body) => {
    expect(render(change).toString()).toBe(body);
    expect(Object.keys(JSON.parse(body))).toEqual(['event', 'data']);
  });

  test('of an update bears the time to the millisecond at which it was recorded', () => {
    const change = golden[3]?.[1];
    const body = render(change, { recordedAtMs: recordedAtMs + 7 });
    expect(JSON.parse(body.toString()).data.updated_at).toBe('2024-03-14T15:00:00.007Z');
  });

  test('of a ping has always these bytes', () => {
    expect(PING_BODY.toString()).toBe('{"event":"ping","data":{}}');
  });
});

describe('an event that is not known', () => {
  const created = golden[0]?.[1];

  test.each([
    ['has another type than its content', 'invoice_paid', encode(created)],
    ['has a type from the future', 'invoice_voided', encode(created)],
    ['has content from the future', 'invoice_voided', Buffer.from('2200', 'hex')],
    ['is empty', 'invoice_created', Buffer.alloc(0)],
  ])('has no body because it %s', (_name, type, data) => {
    expect(() => renderBody({ type, streamId: '123', recordedAtMs, data })).toThrow(
      expect.objectContaining({ name: 'UnknownEventError', code: 'UNKNOWN_TYPE' }),
    );
  });

  test.each([
    ['is no protobuf', 'ffff'],
    ['lacks its amount', '0a00'],
    ['changes a field that is not known', '120a0a0863757272656e6379'],
    ['clears the amount', '12080a06616d6f756e74'],
    [
      'holds an amount whose parts have different signs',
      '0a100a0e0a0355534410c80118ffffffffffffffffff01',
    ],
  ])('has no body because it %s', (_name, hex) => {
    const type = hex.startsWith('12') ? 'invoice_updated' : 'invoice_created';
    const data = Buffer.from(hex, 'hex');
    expect(() => renderBody({ type, streamId: '123', recordedAtMs, data })).toThrow(
      expect.objectContaining({ name: 'UnknownEventError', code: 'UNREADABLE' }),
    );
  });
});

describe('amounts', () => {
  test('are the shortest decimal that is exactly the amount', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.integer({ min: 0, max: 999_999_999 }),
        (units, nanosSize) => {
          const text = formatDecimal(usd(units, units < 0n ? -nanosSize : nanosSize));
          const [, sign, whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
          const nanos = BigInt(whole + fraction.padEnd(9, '0'));
          expect(sign === '-' ? -nanos : nanos).toBe(
            units * 1_000_000_000n + BigInt(units < 0n ? -nanosSize : nanosSize),
          );
          expect(fraction.endsWith('0')).toBe(false);
        },
      ),
    );
  });

  test('below one keep their sign', () => {
    expect(formatDecimal(usd(0n, -10_000_000))).toBe('-0.01');
    expect(formatDecimal(usd(0n, 0))).toBe('0');
  });

  test('with more than a unit of nanos are none', () => {
    expect(() => formatDecimal(usd(0n, 1_000_000_000))).toThrow(UnknownEventError);
  });
});

describe('times', () => {
  test('have three digits, or none on the full second, and stand for the same moment', () => {
    const min = Date.parse('0001-01-01T00:00:00Z');
    const max = Date.parse('9999-12-31T23:59:59.999Z');
    fc.assert(
      fc.property(fc.integer({ min, max }), (timeMs) => {
        const text = formatTime(timeMs);
        expect(Date.parse(text)).toBe(timeMs);
        expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/);
        expect(text.includes('.')).toBe(timeMs % 1_000 !== 0);
      }),
    );
  });

  test('of events lose what is finer than a millisecond, before and after 1970', () => {
    expect(formatTimestamp({ seconds: 0n, nanos: 1_999_999 })).toBe('1970-01-01T00:00:00.001Z');
    expect(formatTimestamp({ seconds: -1n, nanos: 999_999 })).toBe('1969-12-31T23:59:59Z');
  });

  test('outside the years 1 to 9999 are none', () => {
    expect(() => formatTimestamp({ seconds: 253_402_300_800n, nanos: 0 })).toThrow(
      UnknownEventError,
    );
    expect(() => formatTimestamp({ seconds: 0n, nanos: -1 })).toThrow(UnknownEventError);
  });
});

function render(change: Change | undefined, options = { recordedAtMs }): Buffer {
  const type = `invoice_${change?.$case}`;
  return renderBody({ type, streamId: '123', data: encode(change), ...options });
}

function encode(change: Change | undefined): Uint8Array {
  return invoiceEventsV1.InvoiceEvent.encode({ change }).finish();
}

function usd(units: bigint, nanos: number): { currencyCode: string; units: bigint; nanos: number } {
  return money('USD', units, nanos);
}

function money(currencyCode: string, units: bigint, nanos: number): ReturnType<typeof usd> {
  return { currencyCode, units, nanos };
}

function timestamp(text: string): { seconds: bigint; nanos: number } {
  const timeMs = Date.parse(text);
  return { seconds: BigInt(Math.floor(timeMs / 1_000)), nanos: (timeMs % 1_000) * 1_000_000 };
}
