import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAddressPolicy } from './address-policy.ts';
import { MAX_URL_LENGTH, parseWebhookUrl } from './webhook-url.ts';

describe('a good address', () => {
  test.each([
    ['http://myurl.com/webhook', 'http://myurl.com/webhook', 'myurl.com'],
    ['HTTPS://Example.COM:443', 'https://example.com/', 'example.com'],
    ['http://a.com:8080/x?y=1#part', 'http://a.com:8080/x?y=1', 'a.com'],
    ['http://a.com/#', 'http://a.com/', 'a.com'],
    ['http://a.com/a/../b', 'http://a.com/b', 'a.com'],
    ['http://bücher.example/', 'http://xn--bcher-kva.example/', 'xn--bcher-kva.example'],
    ['http://a.com./x', 'http://a.com./x', 'a.com'],
    ['http://[2606:4700::1111]:80/', 'http://[2606:4700::1111]/', '2606:4700::1111'],
    ['http://a.com/@/user:pw@', 'http://a.com/@/user:pw@', 'a.com'],
    ['http://my_host/', 'http://my_host/', 'my_host'],
  ])('%s is kept as %s', (text, url, hostname) => {
    expect(parseWebhookUrl(text)).toEqual({ kind: 'ok', url, hostname });
  });

  test('has at most 2,048 characters, counted as it is kept', () => {
    const base = 'http://a.com/';
    const longest = base + 'x'.repeat(MAX_URL_LENGTH - base.length);
    expect(parseWebhookUrl(longest).kind).toBe('ok');
    expect(parseWebhookUrl(`${longest}x`)).toMatchObject({ reason: 'URL_TOO_LONG' });
    expect(parseWebhookUrl(base + 'ü'.repeat(1_000))).toMatchObject({ reason: 'URL_TOO_LONG' });
  });
});

test.each([
  ['', 'URL_REQUIRED'],
  ['example.com', 'URL_NOT_ABSOLUTE'],
  ['//example.com', 'URL_NOT_ABSOLUTE'],
  ['/webhook', 'URL_NOT_ABSOLUTE'],
  ['http:example.com', 'URL_NOT_ABSOLUTE'],
  ['http:/example.com', 'URL_NOT_ABSOLUTE'],
  ['http:\\\\example.com', 'URL_NOT_ABSOLUTE'],
  ['ftp://a.com', 'URL_SCHEME_UNSUPPORTED'],
  ['file:///etc/passwd', 'URL_SCHEME_UNSUPPORTED'],
  ['javascript:alert(1)', 'URL_SCHEME_UNSUPPORTED'],
  ['httpx://a.com', 'URL_SCHEME_UNSUPPORTED'],
  ['unix:/run/x.sock', 'URL_SCHEME_UNSUPPORTED'],
  ['http://user:pw@a.com/', 'URL_HAS_CREDENTIALS'],
  ['http://user@a.com/', 'URL_HAS_CREDENTIALS'],
  ['http://@a.com/', 'URL_HAS_CREDENTIALS'],
  ['http://a.com@127.0.0.1/', 'URL_HAS_CREDENTIALS'],
  ['http://', 'URL_HOST_INVALID'],
  ['http:///path', 'URL_HOST_INVALID'],
  ['http://?x', 'URL_HOST_INVALID'],
  ['http://./', 'URL_HOST_INVALID'],
  ['http://a..b/', 'URL_HOST_INVALID'],
  ['http://a.com../', 'URL_HOST_INVALID'],
  ['http://a.com:0/', 'URL_HOST_INVALID'],
  [`http://${'a'.repeat(64)}.com/`, 'URL_HOST_INVALID'],
  [`http://${'a.'.repeat(127)}com/`, 'URL_HOST_INVALID'],
  ['http://:80/', 'URL_INVALID'],
  ['http://a.com:99999/', 'URL_INVALID'],
  ['http://[::1', 'URL_INVALID'],
  ['http://[fe80::1%25eth0]/', 'URL_INVALID'],
  ['http://256.256.256.256/', 'URL_INVALID'],
  ['http://a<b/', 'URL_INVALID'],
  [' http://a.com/', 'URL_HAS_WHITESPACE'],
  ['http://a.com/ ', 'URL_HAS_WHITESPACE'],
  ['http://a.com/\n', 'URL_HAS_WHITESPACE'],
  ['ht\ttp://a.com/', 'URL_HAS_WHITESPACE'],
  ['http://a.com/\u0000', 'URL_HAS_WHITESPACE'],
  ['http://a.com/\u0085x', 'URL_HAS_WHITESPACE'],
  ['http://a.com/\u00a0', 'URL_HAS_WHITESPACE'],
])('%j is refused with %s', (text, reason) => {
  expect(parseWebhookUrl(text)).toMatchObject({ kind: 'invalid', reason });
});

describe('a number in another notation', () => {
  const policy = createAddressPolicy({ allow: [] });

  test.each(
    words(
      'http://127.1/ http://0x7f000001/ http://2130706433/ http://0177.0.0.1/',
      'http://0x7f.0x0.0x0.0x1/ http://017700000001/ http://127.0.0.1./ http://0/',
      'http://%31%32%37.0.0.1/ http://①②⑦.0.0.1/ http://127。0。0。1/ http://0xa9fea9fe/',
      'http://2852039166/ http://169.254.43518/ http://10.1/ http://[::ffff:127.0.0.1]/',
      'http://[0:0:0:0:0:ffff:7f00:1]/ http://[::]/ http://[::1]:8080/',
      'http://[64:ff9b::7f00:1]/ http://[fd00::1]/',
    ),
  )('%s is judged as the address it is', (text) => {
    const parsed = parseWebhookUrl(text);
    const verdict = parsed.kind === 'ok' ? policy.check(parsed.hostname) : undefined;
    expect(verdict).toMatchObject({ kind: 'refused' });
    expect(verdict).not.toMatchObject({ reason: 'no IP address' });
  });
});

test('any text is parsed or refused, and what was parsed is stable', () => {
  const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl({ withFragments: true }));
  fc.assert(
    fc.property(texts, (text) => {
      const parsed = parseWebhookUrl(text);
      if (parsed.kind === 'ok') {
        expect(parseWebhookUrl(parsed.url)).toEqual(parsed);
        expect(parsed.url).not.toContain('#');
      }
    }),
  );
}, 30_000);

function words(...lines: readonly string[]): string[] {
  return lines.join(' ').split(' ');
}
