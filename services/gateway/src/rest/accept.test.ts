import { describe, expect, it } from 'vitest';
import { prefersJson } from './accept.ts';

describe('what a client wants to read', () => {
  it.each([
    ['application/json'],
    ['application/json; charset=utf-8'],
    ['APPLICATION/JSON'],
    ['application/*'],
    ['application/json, text/plain, */*'],
    ['application/json, text/html;q=0.9'],
    ['text/html;q=0.5, application/json;q=0.8'],
    ['application/json, text/html'],
    ['text/html;q=0, */*'],
  ])('is JSON for %s', (accept) => {
    expect(prefersJson(accept)).toBe(true);
  });

  it.each([
    [undefined],
    [''],
    ['*/*'],
    ['text/html'],
    ['text/*'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
    ['text/html, application/json'],
    ['application/json;q=0'],
    ['application/json;q=0.1, */*'],
    ['application/json;q=nonsense'],
    ['image/png'],
    [',;=,,q=1'],
  ])('is the sentence for %s', (accept) => {
    expect(prefersJson(accept)).toBe(false);
  });
});
