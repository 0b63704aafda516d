import { readFileSync } from 'node:fs';

/** One line of a table of destinations. */
export interface DestinationEntry {
  readonly url: string;
  /** What DNS says of the host of the URL; none when it is not asked for. */
  readonly addresses: readonly string[];
  /** What is said at the beginning of the table. */
  readonly expected: string;
}

/** Reads what no delivery must reach: `hostile-destinations.txt`. */
export function readHostileDestinations(): readonly DestinationEntry[] {
  return readTable('hostile-destinations.txt');
}

/** Reads what deliveries may reach: `public-destinations.txt`. */
export function readPublicDestinations(): readonly DestinationEntry[] {
  return readTable('public-destinations.txt');
}

function readTable(file: string): readonly DestinationEntry[] {
  return readFileSync(new URL(file, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [url = '', addresses = '', expected = ''] = line.split(/ {2,}/);
      return { url, addresses: addresses === '-' ? [] : addresses.split(','), expected };
    });
}
