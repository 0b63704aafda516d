import { encodePageToken } from '@billhook/grpc';
import { ServiceError } from '@billhook/runtime';
import { describe, expect, test } from 'vitest';
import { countFitting, readHistoryPage, readInvoicePage } from './paging.ts';
import type { invoiceV1 } from '@billhook/contracts';

const list: invoiceV1.ListInvoicesRequest = {
  pageSize: 0,
  pageToken: '',
  status: 'INVOICE_STATUS_UNSPECIFIED',
};
const events: invoiceV1.ListInvoiceEventsRequest = { invoiceId: 'a', pageSize: 0, pageToken: '' };

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

describe('a page of invoices', () => {
  test('has 50 entries by default and 1,000 at most', () => {
    expect(readInvoicePage(list, 'default').size).toBe(50);
    expect(readInvoicePage({ ...list, pageSize: 2_000 }, 'default').size).toBe(1_000);
  });

  test('goes on behind the last entry of the page before', () => {
    const { scope } = readInvoicePage(list, 'default');
    const pageToken = encodePageToken(scope, ['inv_7']);
    expect(readInvoicePage({ ...list, pageToken }, 'default').after).toBe('inv_7');
  });

  test('takes a token for the same tenant and filter only', () => {
    const { scope } = readInvoicePage(list, 'default');
    const request = { ...list, pageToken: encodePageToken(scope, ['inv_7']) };
    const refused = ['page_token PAGE_TOKEN_INVALID'];
    expect(violations(() => readInvoicePage(request, 'other'))).toEqual(refused);
    const filtered = { ...request, status: 'INVOICE_STATUS_PAID' as const };
    expect(violations(() => readInvoicePage(filtered, 'default'))).toEqual(refused);
    const ofEvents = { ...events, pageToken: request.pageToken };
    expect(violations(() => readHistoryPage(ofEvents, 'default'))).toEqual(refused);
  });

  test('takes no token that was made up', () => {
    const { scope } = readInvoicePage(list, 'default');
    const madeUp = [[], [''], ['a\0'], ['a', 'b'], ['x'.repeat(64)]].map((after) =>
      encodePageToken(scope, after),
    );
    for (const pageToken of ['x', '%', '\0', 'W10', ...madeUp, 'A'.repeat(10_000)]) {
      expect(violations(() => readInvoicePage({ ...list, pageToken }, 'default'))).toEqual([
        'page_token PAGE_TOKEN_INVALID',
      ]);
    }
  });

  test('names everything that is wrong at once', () => {
    const request = { pageSize: -1, pageToken: 'x', status: 'UNRECOGNIZED' as const };
    expect(violations(() => readInvoicePage(request, 'default'))).toEqual([
      'page_size PAGE_SIZE_INVALID',
      'page_token PAGE_TOKEN_INVALID',
      'status STATUS_UNKNOWN',
    ]);
  });
});

describe('a page of a history', () => {
  test('goes on behind a version', () => {
    const { scope, after } = readHistoryPage(events, 'default');
    expect(after).toBe(0);
    const pageToken = encodePageToken(scope, ['7']);
    expect(readHistoryPage({ ...events, pageToken }, 'default').after).toBe(7);
  });

  test('takes no version that was made up', () => {
    const { scope } = readHistoryPage(events, 'default');
    for (const after of ['-1', '0', '1.5', '1e3', 'x', '9'.repeat(16)]) {
      const pageToken = encodePageToken(scope, [after]);
      expect(violations(() => readHistoryPage({ ...events, pageToken }, 'default'))).toEqual([
        'page_token PAGE_TOKEN_INVALID',
      ]);
    }
  });
});

describe('what fits on a page', () => {
  const large = 600 * 1_024;

  test('is what was asked for', () => {
    expect(countFitting([1, 1, 1], 2)).toBe(2);
    expect(countFitting([1, 1], 2)).toBe(2);
    expect(countFitting([], 2)).toBe(0);
  });

  test('is at most a mebibyte, but always one entry', () => {
    expect(countFitting([large, large, large], 3)).toBe(1);
    expect(countFitting([2 * large, 1], 3)).toBe(1);
  });
});
