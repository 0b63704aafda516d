import { describe, expect, test } from 'vitest';
import { currencyDigits } from './currency.ts';

/**
 * Every currency that this service has ever taken. Events in it are kept for ever, so a line may be
 * added here, but none removed or changed: if a new edition of the library drops a currency, it
 * belongs into `currency.ts`.
 */
const everTaken: readonly (readonly [digits: number, codes: string])[] = [
  [0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'],
  [2, 'AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD'],
  [2, 'BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD'],
  [2, 'EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR'],
  [2, 'IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP'],
  [2, 'MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN'],
  [2, 'QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB'],
  [2, 'TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW'],
  [2, 'ZWG'],
  [3, 'BHD IQD JOD KWD LYD OMR TND'],
  [4, 'CLF UYW'],
];

test('a currency that was ever taken keeps its digits', () => {
  for (const [digits, codes] of everTaken) {
    for (const code of codes.split(' ')) {
      expect([code, currencyDigits(code)]).toEqual([code, digits]);
    }
  }
});

describe('currencies', () => {
  test.each([
    ['JPY', 0],
    ['CLP', 0],
    ['ISK', 0],
    ['UGX', 0],
    ['USD', 2],
    ['EUR', 2],
    ['HUF', 2],
    ['MGA', 2],
    ['XCG', 2],
    ['KWD', 3],
    ['TND', 3],
    ['CLF', 4],
    ['UYW', 4],
  ])('%s has %i digits', (code, digits) => {
    expect(currencyDigits(code)).toBe(digits);
  });

  test.each(['usd', 'US', '', 'ZZZ', 'XXX', 'XAU', 'XTS', 'constructor', '__proto__'])(
    'nothing is billed in %j',
    (code) => {
      expect(currencyDigits(code)).toBeUndefined();
    },
  );
});
