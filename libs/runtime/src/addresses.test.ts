import { describe, expect, test } from 'vitest';
import { assertLoopback, isLoopback, parseAddress } from './addresses.ts';
import type { Address } from './addresses.ts';

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) {
    throw new Error(`${text} is no address`);
  }
  return parsed;
}

describe('an address', () => {
  test.each(['127.0.0.1:1', '127.9.9.9:1', '[::1]:1', '[::ffff:127.0.0.1]:1', 'localhost:1'])(
    '%s is reached by this machine alone',
    (text) => {
      expect(isLoopback(address(text))).toBe(true);
    },
  );

  test.each(['0.0.0.0:1', '[::]:1', '10.0.0.1:1', 'localhost.example.com:1', 'invoice:1'])(
    '%s may be reached by others, and is refused unless that is allowed by name',
    (text) => {
      const variable = 'BILLHOOK_HTTP_ADDR';
      expect(isLoopback(address(text))).toBe(false);
      expect(() => assertLoopback(address(text), { variable, allowAnonymous: false })).toThrow(
        /^BILLHOOK_HTTP_ADDR is .*BILLHOOK_ALLOW_ANONYMOUS=true\.$/,
      );
      expect(() => assertLoopback(address(text), { variable, allowAnonymous: true })).not.toThrow();
    },
  );
});
