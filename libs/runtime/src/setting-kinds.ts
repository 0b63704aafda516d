import { isIP } from 'node:net';
import { parseAddress, parseAddressList } from './addresses.ts';
import type { Address, AddressList } from './addresses.ts';
import { formatDuration, parseDurationMs } from './durations.ts';

/** How the text of a variable is read. */
export interface SettingKind<Value> {
  /** What a good value looks like; it completes the sentence "... must be". */
  readonly expected: string;
  /** @returns undefined when the text is no such value. */
  parse(text: string): Value | undefined;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

const SECRET_KEY_LENGTH_BYTES = 32;
const HIGHEST_PORT = 65_535;

export const address: SettingKind<Address> = {
  expected: 'host:port, such as 127.0.0.1:8080 or [::1]:8080',
  parse: parseAddress,
};

export const addressList: SettingKind<AddressList> = {
  expected:
    'host:port, such as 127.0.0.1:50051 or [::1]:50051, or dns:///name:port, or a comma list of these',
  parse: parseAddressList,
};

export const path: SettingKind<string> = {
  expected: 'the path of a folder',
  parse: (text) => (text.includes('\0') ? undefined : text),
};

export const databaseUrl: SettingKind<string> = {
  expected: 'an address such as postgresql://user:password@host:5432/database',
  parse: (text) => {
    const protocol = URL.parse(text)?.protocol;
    return protocol === 'postgres:' || protocol === 'postgresql:' ? text : undefined;
  },
};

/** An HTTP proxy: nothing but its place, and whom it takes the process for. */
export const proxyUrl: SettingKind<string> = {
  expected: 'an address such as http://proxy:3128 or http://user:password@proxy:3128',
  parse: (text) => {
    const url = URL.parse(text);
    if (url?.protocol !== 'http:' || url.pathname !== '/' || /[?#]/.test(text)) return undefined;
    return [url.username, url.password].every(isPercentEncoded) ? url.href : undefined;
  },
};

/** Several keys stand there while they are rotated: the first encrypts, all decrypt. */
export const secretKeys = listOf<string>({
  expected: `a comma list of keys of ${SECRET_KEY_LENGTH_BYTES} bytes in base64`,
  parse: (text) => {
    const key = Buffer.from(text, 'base64');
    return key.length === SECRET_KEY_LENGTH_BYTES && key.toString('base64') === text
      ? text
      : undefined;
  },
});

const cidrs = listOf<string>({
  expected: 'a comma list of CIDRs, such as 10.0.0.0/8,fd00::/8, or none',
  parse: (text) => {
    const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
    const family = isIP(match?.[1] ?? '');
    const longestPrefix = family === 4 ? 32 : 128;
    return family !== 0 && Number(match?.[2]) <= longestPrefix ? text : undefined;
  },
});

/** `none` switches off what would be allowed by default. */
export const destinations: SettingKind<readonly string[]> = {
  expected: cidrs.expected,
  parse: (text) => (text === 'none' ? [] : cidrs.parse(text)),
};

/** Ports from the first to the last. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export const ports: SettingKind<readonly PortRange[]> = listOf<PortRange>({
  expected: 'a comma list of ports and ranges of ports, such as 443,8000-8999',
  parse: (text) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    return first >= 1 && first <= last && last <= HIGHEST_PORT ? { first, last } : undefined;
  },
});

/** Each entry is `host:port`. */
export const brokers: SettingKind<readonly string[]> = listOf<string>({
  expected: 'a comma list of host:port, such as kafka-1:9092,kafka-2:9092',
  parse: (text) => parseAddress(text)?.text,
});

/** What Kafka takes as the name of a topic. */
export const topic: SettingKind<string> = {
  expected: 'a name of letters, digits, dots, underscores and hyphens, at most 249 of them',
  parse: (text) => (/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/.test(text) ? text : undefined),
};

export const switchedOn: SettingKind<boolean> = {
  expected: 'true or false',
  parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

export function oneOf<Choice extends string>(choices: readonly Choice[]): SettingKind<Choice> {
  return {
    expected: `one of ${choices.join(', ')}`,
    parse: (text) => choices.find((choice) => choice === text),
  };
}

export function integer(bounds: Bounds): SettingKind<number> {
  return {
    expected: `a whole number from ${bounds.min} to ${bounds.max}`,
    parse: (text) => (/^\d{1,15}$/.test(text) ? within(Number(text), bounds) : undefined),
  };
}

/** A number that need not be whole. */
export function decimal(bounds: Bounds): SettingKind<number> {
  return {
    expected: `a number from ${bounds.min} to ${bounds.max}`,
    parse: (text) =>
      /^\d{1,15}(?:\.\d{1,15})?$/.test(text) ? within(Number(text), bounds) : undefined,
  };
}

/** @param boundsMs in milliseconds, as is the value. */
export function duration(boundsMs: Bounds): SettingKind<number> {
  return {
    expected:
      'a duration such as 500ms, 5s, 5m, 2h or 30d, ' +
      `from ${formatDuration(boundsMs.min)} to ${formatDuration(boundsMs.max)}`,
    parse: (text) => within(parseDurationMs(text), boundsMs),
  };
}

/** @param boundsMs of each wait, in milliseconds. */
export function schedule(boundsMs: Bounds, maxLength: number): SettingKind<readonly number[]> {
  const waits = listOf(duration(boundsMs));
  return {
    expected: `a comma list of at most ${maxLength} entries, each ${duration(boundsMs).expected}`,
    parse: (text) => {
      const parsed = waits.parse(text);
      return parsed !== undefined && parsed.length <= maxLength ? parsed : undefined;
    },
  };
}

/** Reads a comma list; spaces around an entry are dropped, an empty entry is refused. */
function listOf<Value extends string | number | PortRange>(
  kind: SettingKind<Value>,
): SettingKind<readonly Value[]> {
  return {
    expected: kind.expected,
    parse: (text) => {
      const values = text.split(',').map((entry) => kind.parse(entry.trim()));
      const parsed = values.filter((value) => value !== undefined);
      return parsed.length === values.length ? parsed : undefined;
    },
  };
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function within(value: number | undefined, bounds: Bounds): number | undefined {
  return value !== undefined && value >= bounds.min && value <= bounds.max ? value : undefined;
}
