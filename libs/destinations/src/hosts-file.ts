import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import type { LookupAddress } from './lookup.ts';

/** Finds the addresses of a name in lower case; undefined when the file does not have it. */
export type HostsFile = (name: string) => readonly LookupAddress[] | undefined;

/** How long the file is not looked at again: as long as Go's resolver does not. */
const CHECK_EVERY_MS = 5_000;

/**
 * Makes a reader of the hosts file (hosts(5)). A change counts within five seconds; a file that is
 * not there, or cannot be read, is an empty one.
 */
export function createHostsFile(path: string): HostsFile {
  let names: ReadonlyMap<string, readonly LookupAddress[]> = new Map();
  let version = '';
  let checkedAtMs = Number.NEGATIVE_INFINITY;

  function check(): void {
    const nowMs = performance.now();
    if (nowMs - checkedAtMs < CHECK_EVERY_MS) return;
    checkedAtMs = nowMs;
    const found = versionOf(path);
    if (found === version) return;
    names = parseHosts(read(path));
    version = found;
  }

  return (name) => {
    check();
    return names.get(name);
  };
}

function versionOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.mtimeMs} ${found.size}`;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function parseHosts(text: string): ReadonlyMap<string, readonly LookupAddress[]> {
  const names = new Map<string, LookupAddress[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    for (const alias of family === 0 ? [] : aliases) {
      const name = alias.toLowerCase().replace(/\.$/, '');
      const known = names.get(name) ?? [];
      names.set(name, known);
      if (!known.some((each) => each.address === address)) known.push({ address, family });
    }
  }
  return names;
}
