import currencyCodes from 'currency-codes';

/**
 * How many digits a currency has behind the point.
 *
 * @param code an ISO 4217 code in capitals, such as `USD`.
 * @returns the exponent of the minor unit (2 for USD, 0 for JPY), or undefined if there is no such
 * currency to bill in.
 */
export function currencyDigits(code: string): number | undefined {
  return digitsByCode.get(code);
}

/** What ISO 4217 added since the edition that `currency-codes` 2.2.0 carries (2024-06-25). */
const LATER_AMENDMENTS: readonly (readonly [string, number])[] = [
  // Amendment 176: the Caribbean guilder, from 2025-03-31.
  ['XCG', 2],
];

/** Codes whose minor unit ISO 4217 gives as "N.A.": metals, units of account, tests, no currency. */
const WITHOUT_MINOR_UNIT: ReadonlySet<string> = new Set([
  'XAG',
  'XAU',
  'XBA',
  'XBB',
  'XBC',
  'XBD',
  'XDR',
  'XPD',
  'XPT',
  'XSU',
  'XTS',
  'XUA',
  'XXX',
]);

const digitsByCode: ReadonlyMap<string, number> = new Map([
  ...currencyCodes.data
    .filter((currency) => !WITHOUT_MINOR_UNIT.has(currency.code))
    .map((currency) => [currency.code, currency.digits] as const),
  ...LATER_AMENDMENTS,
]);
