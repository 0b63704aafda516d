import { parseWebhookUrl } from '@billhook/destinations';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTarget } from './target.ts';

test('an address is taken apart into what shares connections, and the rest', () => {
  expect(createTarget('https://example.com:8443/a/b?c=d%20e')).toEqual({
    origin: 'https://example.com:8443',
    path: '/a/b?c=d%20e',
  });
  expect(createTarget('http://[2606:4700::1111]/')).toEqual({
    origin: 'http://[2606:4700::1111]',
    path: '/',
  });
});

test('whatever address is accepted, it makes one line of a request and one of its host', () => {
  const unit = fc.constantFrom('a', '/', '?', '#', '%', ' ', '\r', '\n', '\t', '\0', 'ü', '\u010a');
  const rest = fc.oneof(fc.string({ unit }), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(fc.constantFrom('', '/', '.example/', '/?'), rest, (begin, end) => {
      const parsed = parseWebhookUrl(`http://example.com${begin}${end}`);
      if (parsed.kind === 'invalid') return;
      const { origin, path } = createTarget(parsed.url);
      expect(path).toMatch(/^\/[\u0021-\u007e]*$/);
      expect(origin).toMatch(/^http:\/\/[\u0021-\u007e]+$/);
    }),
  );
});
