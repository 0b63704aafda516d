import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseFilter } from './parse-filter.ts';
import type { FilteredEvent } from './matching.ts';

interface Example {
  readonly filter: string;
  readonly event: FilteredEvent;
  readonly expected: boolean;
}

/** Blocks such as "```json match" stand behind the filter that they are an example for. */
const BLOCK = /^```json (filter|match|no-match)\n([^]*?)^```$/gm;

function readExamples(): readonly Example[] {
  const text = readFileSync(new URL('../../../docs/filters.md', import.meta.url), 'utf8');
  const examples: Example[] = [];
  let filter = '';
  for (const [, kind, json = ''] of text.matchAll(BLOCK)) {
    if (kind === 'filter') filter = json;
    else examples.push({ filter, event: JSON.parse(json), expected: kind === 'match' });
  }
  return examples;
}

test('the documentation has examples of both kinds', () => {
  const kinds = new Set(readExamples().map(({ expected }) => expected));
  expect(kinds).toEqual(new Set([true, false]));
});

test.each(readExamples())('what the documentation says of %o holds', (example) => {
  const { filter, event, expected } = example;
  const parsed = parseFilter(filter);
  if (parsed.kind === 'invalid') throw new Error(`${parsed.fault.place} ${parsed.fault.message}`);
  expect(parsed.filter.matches(event)).toBe(expected);
});
