import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import { evolve } from './invoice.ts';
import type { InvoiceCommand } from './decide.ts';
import type { Invoice, InvoiceEvent } from './invoice.ts';

const key = { tenant: 'default', invoiceId: 'inv_1' };
const dollars = (units: number) => ({ currency: 'USD', amountMinor: BigInt(units) * 100n });

const createdEvent: InvoiceEvent = {
  type: 'invoice_created',
  amount: dollars(200),
  dueAtMs: 1_000,
  description: 'Rent',
};
const paidEvent: InvoiceEvent = {
  type: 'invoice_paid',
  amountReceived: dollars(150),
  paidAtMs: 7,
};

function replay(...events: readonly InvoiceEvent[]): Invoice {
  let invoice: Invoice | undefined;
  for (const [index, event] of events.entries()) {
    invoice = evolve(invoice, { ...key, event, recordedAtMs: (index + 1) * 10 });
  }
  if (invoice === undefined) {
    throw new Error('A replay needs an event');
  }
  return invoice;
}

const pending = replay(createdEvent);
const paid = replay(createdEvent, paidEvent);

function decideOn(invoice: Invoice | undefined, command: InvoiceCommand) {
  return decide(command, { invoiceId: key.invoiceId, invoice, recordedAtMs: 99 });
}

function refusal(invoice: Invoice | undefined, command: InvoiceCommand) {
  const decision = decideOn(invoice, command);
  return decision.kind === 'refused'
    ? [decision.error.code, decision.error.reason, decision.error.fieldViolations[0]?.field]
    : decision.kind;
}

const create: InvoiceCommand = {
  kind: 'create',
  amount: dollars(200),
  dueAtMs: 1_000,
  description: 'Rent',
};
const update: InvoiceCommand = { kind: 'update', changes: { amount: dollars(300) }, etag: '' };
const pay: InvoiceCommand = {
  kind: 'pay',
  amountReceived: dollars(150),
  paidAtMs: null,
  etag: '',
};

describe('the history of an invoice', () => {
  test('starts pending, with version 1', () => {
    expect(pending).toEqual({
      ...key,
      status: 'pending',
      version: 1,
      amount: dollars(200),
      dueAtMs: 1_000,
      description: 'Rent',
      createdAtMs: 10,
      updatedAtMs: 10,
    });
  });

  test('an update changes what it names, and clears what it names as null', () => {
    const event: InvoiceEvent = {
      type: 'invoice_updated',
      changes: { amount: dollars(1), dueAtMs: null },
    };
    expect(replay(createdEvent, event)).toEqual({
      ...pending,
      status: 'updated',
      version: 2,
      amount: dollars(1),
      dueAtMs: null,
      updatedAtMs: 20,
    });
  });

  test('a payment keeps the amount, and tells what was received and when', () => {
    expect(paid).toEqual({
      ...pending,
      status: 'paid',
      version: 2,
      amountReceived: dollars(150),
      paidAtMs: 7,
      updatedAtMs: 20,
    });
  });

  test('what cannot follow is a broken history', () => {
    const change = { ...key, recordedAtMs: 1 };
    expect(() => evolve(undefined, { ...change, event: paidEvent })).toThrow('default/inv_1');
    expect(() => evolve(paid, { ...change, event: paidEvent })).toThrow('after its payment');
    expect(() => evolve(pending, { ...change, event: createdEvent })).toThrow('after version 1');
  });
});

describe('creating an invoice', () => {
  test('makes one event', () => {
    expect(decideOn(undefined, create)).toEqual({ kind: 'accepted', events: [createdEvent] });
  });

  test('is refused when the id is taken', () => {
    expect(refusal(pending, create)).toEqual(['ALREADY_EXISTS', 'INVOICE_EXISTS', undefined]);
  });
});

describe('updating an invoice', () => {
  test('records only the fields that get another value', () => {
    const changes = { amount: dollars(300), dueAtMs: 1_000, description: null };
    expect(decideOn(pending, { kind: 'update', changes, etag: '1' })).toEqual({
      kind: 'accepted',
      events: [{ type: 'invoice_updated', changes: { amount: dollars(300), description: null } }],
    });
  });

  test('adds no event when nothing changes', () => {
    const changes = { amount: dollars(200), dueAtMs: 1_000, description: 'Rent' };
    const nothing = { kind: 'accepted', events: [] };
    expect(decideOn(pending, { kind: 'update', changes, etag: '' })).toEqual(nothing);
    expect(decideOn(pending, { kind: 'update', changes: {}, etag: '' })).toEqual(nothing);
  });

  test('tells an empty description from none', () => {
    const changes = { description: '' };
    const decision = decideOn({ ...pending, description: null }, { ...update, changes });
    expect(decision).toEqual({ kind: 'accepted', events: [{ type: 'invoice_updated', changes }] });
  });

  test('is refused in another currency', () => {
    const changes = { amount: { currency: 'EUR', amountMinor: 1n } };
    expect(refusal(pending, { kind: 'update', changes, etag: '' })).toEqual([
      'INVALID_ARGUMENT',
      'CURRENCY_MISMATCH',
      'amount.currency_code',
    ]);
  });
});

describe('paying an invoice', () => {
  test('is recorded at the time given, or else at the time of recording', () => {
    expect(decideOn(pending, { ...pay, paidAtMs: 7 })).toEqual({
      kind: 'accepted',
      events: [paidEvent],
    });
    expect(decideOn(pending, pay)).toEqual({
      kind: 'accepted',
      events: [{ ...paidEvent, paidAtMs: 99 }],
    });
  });

  test('is refused in another currency', () => {
    const amountReceived = { currency: 'EUR', amountMinor: 1n };
    expect(refusal(pending, { ...pay, amountReceived })).toEqual([
      'INVALID_ARGUMENT',
      'CURRENCY_MISMATCH',
      'amount_received.currency_code',
    ]);
  });
});

describe.each([update, pay])('$kind', (command) => {
  const stale = { ...command, etag: '7' };

  test('checks first that the invoice exists', () => {
    expect(refusal(undefined, stale)).toEqual(['NOT_FOUND', 'INVOICE_NOT_FOUND', undefined]);
  });

  test('then that the etag is current', () => {
    expect(refusal(paid, stale)).toEqual(['ABORTED', 'ETAG_MISMATCH', undefined]);
    expect(refusal(pending, { ...command, etag: '01' })).toContain('ETAG_MISMATCH');
    expect(refusal(pending, { ...command, etag: '1' })).toBe('accepted');
  });

  test('then that the invoice is not paid', () => {
    expect(refusal(paid, command)).toEqual(['FAILED_PRECONDITION', 'INVOICE_PAID', undefined]);
  });
});

describe('any sequence of commands', () => {
  const anyAmount = fc.record({
    currency: fc.constantFrom('USD', 'EUR'),
    amountMinor: fc.bigInt({ min: 1n, max: 3n }),
  });
  const anyTimeMs = fc.integer({ min: 0, max: 2 });
  const anyEtag = fc.constantFrom('', '1', '2', '3');
  const anyText = fc.option(fc.constantFrom('', 'a'));
  const anyCommand: fc.Arbitrary<InvoiceCommand> = fc.oneof(
    fc.record({
      kind: fc.constant('create' as const),
      amount: anyAmount,
      dueAtMs: fc.option(anyTimeMs),
      description: anyText,
    }),
    fc.record({
      kind: fc.constant('update' as const),
      changes: fc.record(
        { amount: anyAmount, dueAtMs: fc.option(anyTimeMs), description: anyText },
        { requiredKeys: [] },
      ),
      etag: anyEtag,
    }),
    fc.record({
      kind: fc.constant('pay' as const),
      amountReceived: anyAmount,
      paidAtMs: fc.option(anyTimeMs),
      etag: anyEtag,
    }),
  );

  test('gives events that evolve, one version each, one currency, nothing after the payment', () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 30 }), (commands) => {
        let invoice: Invoice | undefined;
        for (const [recordedAtMs, command] of commands.entries()) {
          const decision = decide(command, { invoiceId: 'inv_1', invoice, recordedAtMs });
          for (const event of decision.kind === 'accepted' ? decision.events : []) {
            const before: Invoice | undefined = invoice;
            invoice = evolve(before, { ...key, event, recordedAtMs });
            expect(before?.status).not.toBe('paid');
            expect(invoice.version).toBe((before?.version ?? 0) + 1);
            expect(invoice.amount.currency).toBe((before ?? invoice).amount.currency);
          }
        }
      }),
    );
  });
});
