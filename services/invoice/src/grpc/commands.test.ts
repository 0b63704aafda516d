import { ServiceError } from '@billhook/runtime';
import { describe, expect, test } from 'vitest';
import { hashContent, readCreateInvoice, readPayInvoice, readUpdateInvoice } from './commands.ts';
import { deriveInvoiceId, randomInvoiceId } from './invoice-ids.ts';
import type { invoiceV1 } from '@billhook/contracts';

const INVOICE_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

const dollars = { currencyCode: 'USD', units: 200n, nanos: 0 };

const create: invoiceV1.CreateInvoiceRequest = {
  requestId: '',
  invoiceId: 'a',
  amount: dollars,
  dueDate: undefined,
  description: undefined,
};
const update: invoiceV1.UpdateInvoiceRequest = { ...create, updateMask: undefined, etag: '' };
const pay: invoiceV1.PayInvoiceRequest = {
  requestId: '',
  invoiceId: 'a',
  amountReceived: dollars,
  paidAt: undefined,
  etag: '',
};

/** `field REASON` of each violation. */
function violations(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'INVALID_ARGUMENT') {
      return error.fieldViolations.map(({ field, reason }) => `${field} ${reason}`);
    }
    throw error;
  }
  return [];
}

function hash(content: Buffer): string {
  return hashContent(content).toString('hex');
}

function createViolations(fields: Partial<invoiceV1.CreateInvoiceRequest>) {
  return violations(() => readCreateInvoice({ ...create, ...fields }, 'default'));
}

function changesOf(fields: Partial<invoiceV1.UpdateInvoiceRequest>) {
  const { command } = readUpdateInvoice({ ...update, amount: undefined, ...fields });
  return command.kind === 'update' ? command.changes : undefined;
}

describe('creating', () => {
  test('takes ids of 1 to 63 letters, digits, underscores and hyphens', () => {
    for (const invoiceId of ['a', '0', 'A_-9', 'x'.repeat(63)]) {
      expect(createViolations({ invoiceId })).toEqual([]);
    }
    for (const invoiceId of ['_a', '-a', 'a b', 'a\n', 'é', 'a/b', '.', 'x'.repeat(64)]) {
      expect(createViolations({ invoiceId })).toEqual(['invoice_id FIELD_INVALID']);
    }
  });

  test('counts characters, not bytes or halves of characters', () => {
    expect(createViolations({ description: '😀'.repeat(1_024) })).toEqual([]);
    expect(createViolations({ requestId: '😀'.repeat(128) })).toEqual([]);
    expect(createViolations({ description: 'x'.repeat(1_025) })).toEqual([
      'description TEXT_TOO_LONG',
    ]);
    expect(createViolations({ requestId: 'x'.repeat(129) })).toEqual(['request_id TEXT_TOO_LONG']);
  });

  test('refuses control characters in any text', () => {
    for (const control of ['\0', '\n', '\u007f', '\u0085']) {
      expect(createViolations({ requestId: control, description: control })).toEqual([
        'request_id TEXT_HAS_CONTROL_CHARACTER',
        'description TEXT_HAS_CONTROL_CHARACTER',
      ]);
    }
    expect(createViolations({ requestId: '\u200b' })).toEqual(['request_id TEXT_NOT_PRINTABLE']);
  });

  test('names everything that is wrong at once', () => {
    const fields = {
      requestId: '\0',
      invoiceId: '!',
      amount: { currencyCode: '', units: 0n, nanos: 0 },
      dueDate: { seconds: 2n ** 60n, nanos: 0 },
      description: '\0',
    };
    expect(createViolations(fields)).toEqual([
      'request_id TEXT_HAS_CONTROL_CHARACTER',
      'invoice_id FIELD_INVALID',
      'amount.currency_code UNKNOWN_CURRENCY',
      'amount AMOUNT_NOT_POSITIVE',
      'due_date TIME_OUT_OF_RANGE',
      'description TEXT_HAS_CONTROL_CHARACTER',
    ]);
  });

  test('needs an amount', () => {
    expect(createViolations({ amount: undefined })).toEqual(['amount FIELD_REQUIRED']);
  });

  test('tells an empty description from none', () => {
    const empty = readCreateInvoice({ ...create, description: '' }, 'default');
    const none = readCreateInvoice({ ...create, description: undefined }, 'default');
    expect(empty.command).toMatchObject({ description: '' });
    expect(none.command).toMatchObject({ description: null });
  });
});

describe('an id that nobody chose', () => {
  test('is derived from tenant and request_id, for ever the same way', () => {
    const { invoiceId } = readCreateInvoice({ ...create, invoiceId: '', requestId: 'r' }, 'acme');
    expect(invoiceId).toBe(deriveInvoiceId('acme', 'r'));
    expect(deriveInvoiceId('acme', 'r')).toBe('inv_c4f6b47d029bfed2234f77f34498f0344c989087');
    expect(deriveInvoiceId('other', 'r')).not.toBe(invoiceId);
    expect(invoiceId).toMatch(INVOICE_ID);
  });

  test('is random without a request_id', () => {
    const first = readCreateInvoice({ ...create, invoiceId: '' }, 'acme');
    const second = readCreateInvoice({ ...create, invoiceId: '' }, 'acme');
    expect(second.invoiceId).not.toBe(first.invoiceId);
    expect(randomInvoiceId()).toMatch(INVOICE_ID);
  });
});

describe('updating', () => {
  const dueDate = { seconds: 1n, nanos: 999_999 };

  test('without a mask changes the populated fields', () => {
    expect(changesOf({})).toEqual({});
    expect(changesOf({ amount: dollars })).toEqual({
      amount: { currency: 'USD', amountMinor: 20_000n },
    });
    expect(changesOf({ dueDate, description: '' })).toEqual({ dueAtMs: 1_000, description: '' });
    expect(changesOf({ description: 'x', updateMask: [] })).toEqual({ description: 'x' });
  });

  test('with a mask changes what it names, and clears what is named and absent', () => {
    expect(changesOf({ dueDate, updateMask: ['description'] })).toEqual({ description: null });
    expect(changesOf({ dueDate, updateMask: ['due_date', 'due_date', 'description'] })).toEqual({
      dueAtMs: 1_000,
      description: null,
    });
  });

  test('with * changes all fields', () => {
    expect(changesOf({ amount: dollars, updateMask: ['*'] })).toEqual({
      amount: { currency: 'USD', amountMinor: 20_000n },
      dueAtMs: null,
      description: null,
    });
  });

  test('cannot clear the amount', () => {
    for (const path of ['amount', '*']) {
      expect(violations(() => changesOf({ updateMask: [path] }))).toEqual([
        'amount FIELD_REQUIRED',
      ]);
    }
  });

  test('refuses a mask that names another field, beside what else is wrong', () => {
    for (const path of ['status', 'amount.units', 'dueDate', 'invoice_id', '', ' amount']) {
      expect(violations(() => changesOf({ updateMask: ['description', path] }))).toEqual([
        'update_mask UNKNOWN_PATH',
      ]);
    }
    const fields = { invoiceId: '', updateMask: ['x'], description: '\0', etag: '\n' };
    expect(violations(() => changesOf(fields))).toEqual([
      'invoice_id FIELD_REQUIRED',
      'update_mask UNKNOWN_PATH',
      'description TEXT_HAS_CONTROL_CHARACTER',
      'etag TEXT_HAS_CONTROL_CHARACTER',
    ]);
  });

  test('does not look at what stands beside the mask', () => {
    expect(changesOf({ description: '\0', dueDate, updateMask: ['due_date'] })).toEqual({
      dueAtMs: 1_000,
    });
  });
});

describe('paying', () => {
  test('names everything that is wrong at once', () => {
    const fields = {
      requestId: 'x'.repeat(129),
      invoiceId: '',
      amountReceived: { currencyCode: 'JPY', units: 1n, nanos: 1 },
      paidAt: { seconds: 0n, nanos: -1 },
      etag: 'x'.repeat(65),
    };
    expect(violations(() => readPayInvoice(fields))).toEqual([
      'request_id TEXT_TOO_LONG',
      'invoice_id FIELD_REQUIRED',
      'amount_received.nanos TOO_MANY_DIGITS',
      'paid_at TIME_OUT_OF_RANGE',
      'etag TEXT_TOO_LONG',
    ]);
  });
});

describe('what tells a repeat from another call', () => {
  const first = hash(readCreateInvoice({ ...create, requestId: 'r' }, 'default').content);

  test('is everything but the request_id', () => {
    const again = readCreateInvoice({ ...create, requestId: 'other' }, 'default');
    expect(hash(again.content)).toBe(first);
    const described = readCreateInvoice({ ...create, description: '' }, 'default');
    expect(hash(described.content)).not.toBe(first);
  });

  test('is the method as well', () => {
    const updating = readUpdateInvoice({ ...update, requestId: 'r' });
    expect(hash(updating.content)).not.toBe(first);
    expect(hash(readPayInvoice(pay).content)).not.toBe(hash(updating.content));
  });

  test('stays the same over versions, so that repeats are known after an upgrade', () => {
    expect(first).toBe('990f9758d94aefaa4ee527cbd4066c8cf58d724920d682b25abab142c5f5d2f8');
  });
});
