import * as fc from 'fast-check';
import type { IHeaders } from '@billhook/kafka';
import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../event-log.ts';
import { decodeRecord, encodeRecord, UndecodableRecordError } from './record.ts';
import type { KafkaRecord } from './record.ts';

const record: LogRecord = {
  lane: 3,
  position: 42,
  id: 'evt_0123456789abcdef0123456789abcdef',
  tenant: 'default',
  streamId: 'invoice_1-a',
  version: 7,
  type: 'invoice_paid',
  data: Buffer.from('1a170a08', 'hex'),
  recordedAtMs: Date.parse('2024-03-20T10:00:00.007Z'),
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  offset: 1_000,
};

/** As it is kept in Kafka. Topics are kept for ever: this may get company, and never changes. */
const golden = {
  key: 'default/invoice_1-a',
  value: '1a170a08',
  headers: {
    ce_specversion: '1.0',
    ce_id: 'evt_0123456789abcdef0123456789abcdef',
    ce_source: '/billhook/invoice',
    ce_subject: 'invoice_1-a',
    ce_type: 'invoice_paid',
    ce_time: '2024-03-20T10:00:00.007Z',
    'content-type': 'application/protobuf',
    billhook_tenant: 'default',
    billhook_version: '7',
    billhook_position: '42',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  },
};

describe('an event as a record of Kafka', () => {
  it('is written as it always was', () => {
    const { key, value, headers } = encodeRecord(record);
    expect({ key, headers }).toEqual({ key: golden.key, headers: golden.headers });
    expect(value).toEqual(Buffer.from(golden.value, 'hex'));
  });

  it('is read as it always was', () => {
    expect(decodeRecord(received(), 3)).toEqual(record);
  });

  it('survives the way there and back', () => {
    const text = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('a/b', 'Straße', '漢字 😀'));
    const whole = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    const arbitrary = fc.record({
      lane: fc.constant(3),
      position: whole,
      id: fc
        .uint8Array({ minLength: 16, maxLength: 16 })
        .map((id) => `evt_${Buffer.from(id).toString('hex')}`),
      tenant: text,
      streamId: text,
      version: whole,
      type: text,
      data: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      recordedAtMs: fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') }),
      traceparent: fc.constantFrom(undefined, record.traceparent),
      offset: fc.constant(1_000),
    });
    fc.assert(
      fc.property(arbitrary, (each) => {
        const message = encodeRecord(each);
        const value = Buffer.isBuffer(message.value) ? message.value : null;
        expect(decodeRecord({ ...received(), ...asReceived(message.headers), value }, 3)).toEqual(
          each,
        );
      }),
    );
  });

  it('may have no valid traceparent', () => {
    for (const traceparent of [undefined, 'nonsense', '']) {
      expect(decodeRecord(received({ traceparent }), 3).traceparent).toBeUndefined();
    }
  });
});

describe('a record that is no event', () => {
  it('is told apart when a header is missing or there twice', () => {
    const required = Object.keys(golden.headers).filter(
      (name) => name !== 'traceparent' && name !== 'ce_source',
    );
    for (const name of required) {
      const twice = [Buffer.from('1'), Buffer.from('1')];
      for (const value of [undefined, '', twice]) {
        expect(() => decodeRecord(received({ [name]: value }), 3)).toThrow(UndecodableRecordError);
      }
    }
  });

  it('is told apart when a header is malformed', () => {
    const malformed = {
      ce_specversion: ['2.0'],
      ce_id: ['evt_0', 'evt_0123456789ABCDEF0123456789abcdef', ' evt_'],
      ce_time: ['yesterday', '2024-03-20', '2024-13-20T10:00:00.007Z', '2024-03-20T10:00:00Z'],
      'content-type': ['application/json'],
      billhook_version: ['0', '-1', '1.5', '1e3', '0x1', ' 1'],
      billhook_position: ['0', '-1', '1.5', 'NaN', '9007199254740992', '99999999999999999'],
    };
    for (const [name, values] of Object.entries(malformed)) {
      for (const value of values) {
        expect(() => decodeRecord(received({ [name]: value }), 3), `${name}: ${value}`).toThrow(
          UndecodableRecordError,
        );
      }
    }
  });

  it('is told apart when it has no value or no headers', () => {
    expect(() => decodeRecord({ ...received(), value: null }, 3)).toThrow('it has no value');
    expect(() => decodeRecord({ ...received(), headers: {} }, 3)).toThrow('it has no header');
  });

  it('is named by its offset and what is wrong with it', () => {
    const message = received({ billhook_position: 'x' });
    expect(() => decodeRecord(message, 3)).toThrow(
      'The record at offset 1000 of partition 3 is no event: ' +
        'its header billhook_position is malformed.',
    );
  });
});

/** The golden record as KafkaJS hands it out, with other headers. */
function received(headers: IHeaders = {}): KafkaRecord {
  return {
    ...asReceived({ ...golden.headers, ...headers }),
    value: Buffer.from(golden.value, 'hex'),
    offset: '1000',
  };
}

function asReceived(headers: IHeaders = {}): { readonly headers: IHeaders } {
  const entries = Object.entries(headers).map(([name, value]) => {
    return [name, typeof value === 'string' ? Buffer.from(value) : value] as const;
  });
  return { headers: Object.fromEntries(entries.filter(([, value]) => value !== undefined)) };
}
