import { currencyDigits } from './currency.ts';

/** An exact amount of money: an integer of the currency's smallest unit. */
export interface Amount {
  /** ISO 4217, in capitals. */
  readonly currency: string;
  readonly amountMinor: bigint;
}

/** `google.type.Money`: whole units and billionths of a unit, both with the same sign. */
export interface MoneyParts {
  readonly currencyCode: string;
  readonly units: bigint;
  readonly nanos: number;
}

/** What is wrong with an amount, and where: the path within `google.type.Money`, "" for all of it. */
export interface MoneyProblem {
  readonly path: 'currency_code' | 'units' | 'nanos' | '';
  readonly reason: string;
  readonly description: string;
}

export type ParsedMoney =
  | { readonly kind: 'amount'; readonly amount: Amount }
  | { readonly kind: 'invalid'; readonly problems: readonly MoneyProblem[] };

const NANO_DIGITS = 9;
const NANOS_PER_UNIT = 1_000_000_000n;
/** The largest signed 64-bit integer: what SQL's `bigint` holds. */
const MAX_AMOUNT_MINOR = 2n ** 63n - 1n;

/**
 * Turns `google.type.Money` into minor units, without rounding.
 *
 * @param money as it was sent; nothing about it is trusted.
 * @returns a positive amount, or everything that is wrong with it.
 */
export function parseMoney(money: MoneyParts): ParsedMoney {
  const digits = currencyDigits(money.currencyCode);
  const problems = [
    ...(digits === undefined ? [unknownCurrency] : []),
    ...valueProblems(money, digits),
  ];
  if (digits === undefined || problems.length > 0) {
    return { kind: 'invalid', problems };
  }
  const nanosPerMinor = 10n ** BigInt(NANO_DIGITS - digits);
  const amountMinor = money.units * 10n ** BigInt(digits) + BigInt(money.nanos) / nanosPerMinor;
  if (amountMinor > MAX_AMOUNT_MINOR) {
    return { kind: 'invalid', problems: [tooLarge] };
  }
  return { kind: 'amount', amount: { currency: money.currencyCode, amountMinor } };
}

/** Turns minor units back into the one `google.type.Money` that stands for them. */
export function formatMoney(amount: Amount): MoneyParts {
  const digits = currencyDigits(amount.currency);
  if (digits === undefined) {
    throw new Error(
      `An amount bears the currency ${amount.currency}, which ISO 4217 does not have`,
    );
  }
  const minorPerUnit = 10n ** BigInt(digits);
  const nanosPerMinor = NANOS_PER_UNIT / minorPerUnit;
  return {
    currencyCode: amount.currency,
    units: amount.amountMinor / minorPerUnit,
    nanos: Number((amount.amountMinor % minorPerUnit) * nanosPerMinor),
  };
}

/** Whether two amounts are the same money. */
export function sameAmount(left: Amount, right: Amount): boolean {
  return left.currency === right.currency && left.amountMinor === right.amountMinor;
}

/** What is wrong with units and nanos: the first rule of `google.type.Money` or ours they break. */
function valueProblems(money: MoneyParts, digits: number | undefined): readonly MoneyProblem[] {
  const { units, nanos } = money;
  if (Math.abs(nanos) >= Number(NANOS_PER_UNIT)) {
    return [nanosOutOfRange];
  }
  if ((units > 0n && nanos < 0) || (units < 0n && nanos > 0)) {
    return [signsDiffer];
  }
  if (units < 0n || nanos < 0 || (units === 0n && nanos === 0)) {
    return [notPositive];
  }
  if (digits !== undefined && nanos % 10 ** (NANO_DIGITS - digits) !== 0) {
    return [tooManyDigits(money.currencyCode, digits)];
  }
  return [];
}

const unknownCurrency: MoneyProblem = {
  path: 'currency_code',
  reason: 'UNKNOWN_CURRENCY',
  description: 'must be an ISO 4217 code in capitals of a currency with a minor unit, such as USD',
};

const nanosOutOfRange: MoneyProblem = {
  path: 'nanos',
  reason: 'NANOS_OUT_OF_RANGE',
  description: 'must be at most 999999999: what is more belongs into units',
};

const signsDiffer: MoneyProblem = {
  path: 'nanos',
  reason: 'SIGNS_DIFFER',
  description: 'must have the same sign as units',
};

const notPositive: MoneyProblem = {
  path: '',
  reason: 'AMOUNT_NOT_POSITIVE',
  description: 'must be more than zero',
};

const tooLarge: MoneyProblem = {
  path: 'units',
  reason: 'AMOUNT_TOO_LARGE',
  description: `must be less: an amount is at most ${MAX_AMOUNT_MINOR} of the smallest unit`,
};

function tooManyDigits(currency: string, digits: number): MoneyProblem {
  return {
    path: 'nanos',
    reason: 'TOO_MANY_DIGITS',
    description: `must have at most ${digits} digits behind the point: ${currency} has no more`,
  };
}
