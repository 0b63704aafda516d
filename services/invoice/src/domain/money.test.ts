import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatMoney, parseMoney, sameAmount } from './money.ts';

const MAX_AMOUNT_MINOR = 2n ** 63n - 1n;

const currencies = ['JPY', 'USD', 'HUF', 'KWD', 'CLF', 'XCG'];

const anyAmount = fc.record({
  currency: fc.constantFrom(...currencies),
  amountMinor: fc.bigInt({ min: 1n, max: MAX_AMOUNT_MINOR }),
});

const anyMoney = fc.record({
  currencyCode: fc.constantFrom(...currencies, 'XXX', 'usd', ''),
  units: fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -3n, max: 3n }),
  ),
  nanos: fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    fc.integer({ min: -100, max: 100 }).map((cents) => cents * 10_000_000),
  ),
});

function parse(currencyCode: string, units: bigint, nanos = 0) {
  return parseMoney({ currencyCode, units, nanos });
}

function amountMinor(money: ReturnType<typeof parse>): bigint | undefined {
  return money.kind === 'amount' ? money.amount.amountMinor : undefined;
}

function reasons(money: ReturnType<typeof parse>): readonly string[] {
  return money.kind === 'invalid'
    ? money.problems.map(({ path, reason }) => `${path}:${reason}`)
    : [];
}

describe('google.type.Money to minor units', () => {
  test('is exact to the smallest unit of each currency', () => {
    expect(amountMinor(parse('USD', 1_550n, 500_000_000))).toBe(155_050n);
    expect(amountMinor(parse('USD', 0n, 10_000_000))).toBe(1n);
    expect(amountMinor(parse('JPY', 200n))).toBe(200n);
    expect(amountMinor(parse('KWD', 1n, 1_000_000))).toBe(1_001n);
    expect(amountMinor(parse('CLF', 1n, 100_000))).toBe(10_001n);
  });

  test.each([
    ['JPY', 500_000_000],
    ['USD', 1_000_000],
    ['KWD', 100_000],
    ['CLF', 10_000],
    ['USD', 1],
  ])('%s refuses more digits than it has', (currency, nanos) => {
    expect(reasons(parse(currency, 1n, nanos))).toEqual(['nanos:TOO_MANY_DIGITS']);
  });

  test('refuses what is not positive', () => {
    expect(reasons(parse('USD', 0n))).toEqual([':AMOUNT_NOT_POSITIVE']);
    expect(reasons(parse('USD', -1n))).toEqual([':AMOUNT_NOT_POSITIVE']);
    expect(reasons(parse('USD', 0n, -10_000_000))).toEqual([':AMOUNT_NOT_POSITIVE']);
  });

  test('refuses units and nanos of different signs, and nanos of a whole unit or more', () => {
    expect(reasons(parse('USD', 1n, -10_000_000))).toEqual(['nanos:SIGNS_DIFFER']);
    expect(reasons(parse('USD', -1n, 10_000_000))).toEqual(['nanos:SIGNS_DIFFER']);
    expect(reasons(parse('USD', 1n, 1_000_000_000))).toEqual(['nanos:NANOS_OUT_OF_RANGE']);
    expect(reasons(parse('USD', 1n, -2_147_483_648))).toEqual(['nanos:NANOS_OUT_OF_RANGE']);
  });

  test('takes the largest amount that fits 64 bits, and refuses the next', () => {
    expect(amountMinor(parse('USD', 92_233_720_368_547_758n, 70_000_000))).toBe(MAX_AMOUNT_MINOR);
    expect(reasons(parse('USD', 92_233_720_368_547_758n, 80_000_000))).toEqual([
      'units:AMOUNT_TOO_LARGE',
    ]);
    expect(amountMinor(parse('JPY', MAX_AMOUNT_MINOR))).toBe(MAX_AMOUNT_MINOR);
    expect(reasons(parse('CLF', MAX_AMOUNT_MINOR))).toEqual(['units:AMOUNT_TOO_LARGE']);
  });

  test('names everything that is wrong at once', () => {
    expect(reasons(parse('dollar', -1n, 5))).toEqual([
      'currency_code:UNKNOWN_CURRENCY',
      'nanos:SIGNS_DIFFER',
    ]);
  });

  test('survives the way there and back, for every amount', () => {
    fc.assert(
      fc.property(anyAmount, (amount) => {
        expect(parseMoney(formatMoney(amount))).toEqual({ kind: 'amount', amount });
      }),
    );
  });

  test('either keeps exactly what was sent or refuses it', () => {
    fc.assert(
      fc.property(anyMoney, (money) => {
        const parsed = parseMoney(money);
        if (parsed.kind === 'invalid') {
          expect(parsed.problems.length).toBeGreaterThan(0);
          return;
        }
        expect(formatMoney(parsed.amount)).toEqual(money);
        expect(parsed.amount.amountMinor).toBeGreaterThan(0n);
        expect(parsed.amount.amountMinor).toBeLessThanOrEqual(MAX_AMOUNT_MINOR);
      }),
    );
  });
});

test('amounts are the same money only with the same currency and number', () => {
  const fiveDollars = { currency: 'USD', amountMinor: 500n };
  expect(sameAmount(fiveDollars, { ...fiveDollars })).toBe(true);
  expect(sameAmount(fiveDollars, { currency: 'EUR', amountMinor: 500n })).toBe(false);
  expect(sameAmount(fiveDollars, { currency: 'USD', amountMinor: 501n })).toBe(false);
});

test('an amount in a currency that there is not cannot be written', () => {
  expect(() => formatMoney({ currency: 'ZZZ', amountMinor: 1n })).toThrow('ZZZ');
});
