import { invoiceEventsV1 } from '@billhook/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderBody } from './body.ts';
import { createWebhookHeaders } from './headers.ts';
import { continueTrace } from './traceparent.ts';

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
const headers = createWebhookHeaders({ version: '1.2.3', random: () => 0.5 });
const facts = {
  id: 'evt_1',
  timestampSeconds: 1_700_000_000,
  signature: 'v1,abc',
  endpointId: 'ep_1',
  attempt: 2,
  sequence: 3,
  recordedAtMs: Date.parse('2024-03-14T15:00:00.5Z'),
  traceparent,
  ownHeaders: [],
};

describe('the headers of an attempt', () => {
  test('say all that stands outside the body', () => {
    expect(toRecord(headers(facts))).toEqual({
      'content-type': 'application/json',
      'user-agent': 'Billhook/1.2.3',
      'webhook-id': 'evt_1',
      'webhook-timestamp': '1700000000',
      'webhook-signature': 'v1,abc',
      'billhook-attempt': '2',
      'billhook-sequence': '3',
      'billhook-event-time': '2024-03-14T15:00:00.500Z',
      'billhook-endpoint': 'ep_1',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-0100008000000080-00',
    });
  });

  test('end with those of the endpoint', () => {
    const ownHeaders = ['authorization', 'Bearer x', 'x-key', 'y'];
    expect(headers({ ...facts, ownHeaders }).slice(-4)).toEqual(ownHeaders);
    expect(headers({ ...facts, ownHeaders })).toHaveLength(headers(facts).length + 4);
  });

  test('name no sequence for a ping, which belongs to no invoice', () => {
    const ping = toRecord(headers({ ...facts, sequence: undefined }));
    expect(Object.keys(ping)).not.toContain('billhook-sequence');
  });
});

describe('whatever an event holds', () => {
  const hostile = fc.string({
    unit: fc.constantFrom('a', '-', ' ', ':', '\r', '\n', '\0', '"', '\u0085', '\u010a', '\u2028'),
  });

  test('its headers are what they are, and its body is one line', () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, (streamId, description, parent) => {
        const change = invoiceEventsV1.InvoiceEvent.create({
          change: { $case: 'updated', value: { changedFields: ['description'], description } },
        });
        const data = invoiceEventsV1.InvoiceEvent.encode(change).finish();
        const event = { type: 'invoice_updated', streamId, recordedAtMs: 0, data };
        const list = headers({ ...facts, traceparent: parent });
        expect(list).toHaveLength(headers(facts).length);
        for (const text of list) expect(text).toMatch(/^[\u0020-\u007e]+$/);
        const body = renderBody(event).toString();
        // oxlint-disable-next-line no-control-regex -- control characters are what it looks for.
        expect(body).not.toMatch(/[\u0000-\u001f]/);
        expect(JSON.parse(body).data).toMatchObject({
          invoice_id: streamId,
          updated_fields: { description },
        });
      }),
    );
  });
});

describe('the trace', () => {
  test('of an event goes on with a new span', () => {
    expect(continueTrace(traceparent, Math.random)).toMatch(
      /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-00$/,
    );
  });

  test.each([
    ['none', undefined],
    ['one of an unknown version', traceparent.replace('00-', '01-')],
    ['one of zeros', '00-00000000000000000000000000000000-b7ad6b7169203331-01'],
    ['one that would break a header', `${traceparent}\r\nx: y`],
  ])('is a new one for an event that came with %s', (_name, parent) => {
    const trace = /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/;
    const first = trace.exec(continueTrace(parent, Math.random))?.[1];
    expect(first).toBeDefined();
    expect(first).not.toBe('0'.repeat(32));
    expect(trace.exec(continueTrace(parent, Math.random))?.[1]).not.toBe(first);
  });

  test('has an id that is not zero whatever the random numbers are', () => {
    expect(continueTrace(undefined, () => 0)).toBe(
      '00-01000000000000000000000000000000-0100000000000000-01',
    );
  });
});

function toRecord(list: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let index = 0; index < list.length; index += 2) {
    record[list[index] ?? ''] = list[index + 1] ?? '';
  }
  return record;
}
