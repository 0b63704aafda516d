import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs';
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
    .map((line) => line.split('|').map((cell) => withoutBackticks(cell.trim())))
    .map((cells) => cells.slice(1, -1));
}

function withoutBackticks(text: string): string {
  return text.replaceAll('`', '');
}

test('the README lists every setting with its default and its meaning', () => {
  const [, section = ''] = read('README.md').split('### Settings');
  const [table = ''] = section.split('\n## ');
  const expected = describeSettings().map((setting) =>
    [setting.variable, setting.default, setting.meaning].map(withoutBackticks),
  );
  expect(tableRows(table)).toEqual(expected);
});

test('every folder that the architecture names exists', () => {
  const [, section = ''] = read('ARCHITECTURE.md').split('## Code map');
  const [table = ''] = section.split('\n## ');
  const folders = tableRows(table).flatMap(([names = '']) => names.split(', '));
  expect(folders.length).toBeGreaterThan(10);
  for (const folder of folders) expect(existsSync(`${root}${folder}`), folder).toBe(true);
});

test('every room of a service that the architecture names exists', () => {
  const rooms = tableRows(read('ARCHITECTURE.md')).flatMap(([folder = '', purpose = '']) =>
    [...purpose.matchAll(/\b([a-z]+)\/(?= )/g)].map(([, room]) => `${folder}/src/${room}`),
  );
  expect(rooms.length).toBeGreaterThan(8);
  for (const room of rooms) expect(existsSync(`${root}${room}`), room).toBe(true);
});

test('every file that a document names exists', () => {
  const names = [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'docs/operations.md',
    'docs/recovery.md',
    'docs/performance.md',
  ];
  const documents = names.map(read).join('\n');
  const files = [...documents.matchAll(/[ (`]((?:[\w-]+\/)+[\w.-]+\.(?:ts|md|proto))\b/g)];
  expect(files.length).toBeGreaterThan(8);
  for (const [, file] of files) {
    // The documents leave out the folder of a service where the text has named it.
    const places = ['', 'services/dispatcher/src/', 'services/invoice/src/'];
    expect(
      places.some((place) => existsSync(`${root}${place}${file}`)),
      file,
    ).toBe(true);
  }
});

test.each(['ARCHITECTURE.md', 'docs/operations.md'])('%s keeps to 200 lines', (document) => {
  expect(read(document).split('\n').length).toBeLessThanOrEqual(200);
});

test('every link from one document to another leads somewhere', () => {
  const links = ['', 'docs/', 'docs/decisions/'].flatMap((folder) =>
    readdirSync(`${root}${folder}`)
      .filter((name) => name.endsWith('.md'))
      .flatMap((name) => [...read(folder + name).matchAll(/\]\((?!https?:)([^)#]+)/g)])
      .map(([, target = '']) => folder + target),
  );
  expect(links.length).toBeGreaterThan(3);
  for (const link of links) expect(existsSync(root + link), link).toBe(true);
});

test('every metric that the operations name is in the list of metrics', () => {
  const listed = tableRows(read('docs/metrics.md')).map(([metric]) => metric);
  const named = [...read('docs/operations.md').matchAll(/`(billhook_\w+)`/g)].map(
    ([, metric]) => metric,
  );
  expect(named.length).toBeGreaterThan(8);
  expect(listed).toEqual(expect.arrayContaining(named));
});

test('every log line and metric that the operations name is in the code', () => {
  const sources = globSync('{libs,services}/*/src/**/*.ts', { cwd: root })
    .filter((file) => !file.includes('.test.') && !file.includes('.fixture.'))
    .map(read)
    .join('\n');
  const prose = ['docs/operations.md', 'docs/recovery.md']
    .map(read)
    .join('\n')
    .replaceAll(/^```[^]*?^```/gm, '');
  const quoted = [...prose.matchAll(/`([^`]+)`/g)].map(([, text = '']) => {
    return text.replaceAll(/\s+/g, ' ');
  });
  // Sentences stand in the log; single words are settings, tables and the like.
  const lines = quoted.filter((text) => /^[A-Za-z]+(?:[;:,]? [A-Za-z0-9]+){2,}$/.test(text));
  const metrics = quoted.filter((text) => text.startsWith('billhook_'));
  expect(lines.length).toBeGreaterThan(12);
  expect(metrics.length).toBeGreaterThan(3);
  for (const text of [...lines, ...metrics]) expect(sources, text).toContain(text);
});
