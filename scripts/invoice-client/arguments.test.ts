import { describe, expect, test } from 'vitest';
import { readArguments, UsageError } from './arguments.ts';
import { toJson } from './json.ts';

function read(line: string) {
  return readArguments(line.split(' '));
}

describe('the command line of the invoice client', () => {
  test('makes a call of a command', () => {
    expect(
      read('create --amount 1550.5 --currency USD --id a --due 2024-04-15 --request-id r'),
    ).toEqual({
      kind: 'create',
      target: undefined,
      tenant: 'default',
      request: {
        requestId: 'r',
        invoiceId: 'a',
        amount: { currencyCode: 'USD', units: 1550n, nanos: 500_000_000 },
        dueDate: { seconds: 1_713_139_200n, nanos: 0 },
        description: undefined,
      },
    });
  });

  test('makes up a request_id, so that a call can be repeated safely', () => {
    const first = read('pay --id a --amount 1 --currency USD');
    const second = read('pay --id a --amount 1 --currency USD');
    expect(first).not.toEqual(second);
  });

  test('needs a mask only to clear fields', () => {
    expect(read('update --id a --description b').request).toMatchObject({ updateMask: undefined });
    expect(read('update --id a --description b --clear due_date').request).toMatchObject({
      updateMask: ['description', 'due_date'],
      dueDate: undefined,
      description: 'b',
    });
  });

  test('leaves a list without a filter unless one is given', () => {
    expect(read('list').request).toEqual({
      pageSize: 0,
      pageToken: '',
      status: 'INVOICE_STATUS_UNSPECIFIED',
    });
    expect(read('list --status paid --page-size 5').request).toMatchObject({
      pageSize: 5,
      status: 'INVOICE_STATUS_PAID',
    });
  });

  test.each([
    'destroy --id a',
    'get extra --id a',
    'get --id a --amount 5',
    'get --nonsense 1',
    'create --amount 5',
    'create --amount x --currency USD',
    'create --amount 1 --currency USD --due tomorrow',
    'list --status open',
    'list --page-size many',
  ])('refuses "%s" and shows how it is used', (line) => {
    expect(() => read(line)).toThrow(UsageError);
    expect(() => read(line)).toThrow('Usage: npm run invoice');
  });
});

test('messages are printed as grpcurl prints them', () => {
  const message = {
    invoiceId: 'a',
    amount: { currencyCode: 'USD', units: 5n, nanos: 0 },
    dueDate: { seconds: 0n, nanos: 5_000_000 },
    paidAt: undefined,
    events: [{ content: { change: { $case: 'paid', value: { paidAt: undefined } } } }],
  };
  expect(JSON.parse(toJson(message))).toEqual({
    invoiceId: 'a',
    amount: { currencyCode: 'USD', units: '5' },
    dueDate: '1970-01-01T00:00:00.005Z',
    events: [{ content: { paid: {} } }],
  });
});
