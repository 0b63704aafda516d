import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeSettings } from '@billhook/runtime';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

function read(file: string): string {
  return readFileSync(`${root}${file}`, 'utf8');
}

/** The cells of the rows of a table, without the backticks around names and values. */
function tableRows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
    .map((cells) => cells.slice(1, -1));
}

test('the README lists every setting with its default and its meaning', () => {
  const [, section = ''] = read('README.md').split('### Settings');
  const [table = ''] = section.split('\n## ');
  const listed = tableRows(table).map(([variable, byDefault]) => [variable, byDefault]);
  const expected = describeSettings().map((setting) => [setting.variable, setting.default]);
  expect(listed).toEqual(expected);
});

test('every folder that the architecture names exists', () => {
  const [, section = ''] = read('ARCHITECTURE.md').split('## Code map');
  const [table = ''] = section.split('\n## ');
  const folders = tableRows(table).flatMap(([names = '']) => names.split(', '));
  expect(folders.length).toBeGreaterThan(10);
  for (const folder of folders) expect(existsSync(`${root}${folder}`), folder).toBe(true);
});

test('the architecture keeps to 200 lines', () => {
  expect(read('ARCHITECTURE.md').split('\n').length).toBeLessThanOrEqual(200);
});
