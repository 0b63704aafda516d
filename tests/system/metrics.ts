import { readFileSync } from 'node:fs';

/** A part of docs/metrics.md. */
export type Section =
  | 'Every process'
  | 'gRPC services'
  | 'Event stores'
  | 'Invoice service'
  | 'Relay'
  | 'Subscription service'
  | 'Dispatcher'
  | 'Gateway';

/** What is said of a metric. */
interface Description {
  readonly type: string;
  readonly meaning: string;
  /** Their names; absent when nothing is shown of it yet. */
  readonly labels?: readonly string[];
}

/** By the names of the metrics. */
export type Descriptions = Readonly<Record<string, Description>>;

export interface ShownMetrics {
  /** Billhook's own, without those of Node. */
  readonly descriptions: Descriptions;
  /** Numbers by the names of their series. */
  readonly samples: Readonly<Record<string, number>>;
}

/** Asks a process for its metrics. */
export async function readMetrics(place: string): Promise<ShownMetrics> {
  const text = await (await fetch(`http://${place}/metrics`)).text();
  const types = new Map(pairs(text, /^# TYPE (billhook_\w+) (\w+)$/gm));
  const samples = pairs(text, /^(billhook_\S+) (\S+)$/gm);
  const describe = ([name, meaning]: Pair): [string, Description] => {
    const type = types.get(name) ?? '';
    const sampled = type === 'histogram' ? `${name}_sum` : name;
    const series = samples.map(([one]) => one).find((one) => nameOf(one) === sampled);
    const shown = { type, meaning };
    return [name, series === undefined ? shown : { ...shown, labels: labelsOf(series) }];
  };
  return {
    descriptions: Object.fromEntries(pairs(text, /^# HELP (billhook_\w+) (.*)$/gm).map(describe)),
    samples: Object.fromEntries(samples.map(([name, value]) => [name, Number(value)])),
  };
}

/** Reads what docs/metrics.md says in some of its sections. */
export function documentedMetrics(sections: readonly Section[]): Descriptions {
  const document = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const parts = new Map(
    document.split(/^## /m).map((part) => [part.slice(0, part.indexOf('\n')), part]),
  );
  return Object.fromEntries(sections.flatMap((section) => rowsOf(parts.get(section) ?? '')));
}

function rowsOf(part: string): [string, Description][] {
  const lines = part.split('\n').filter((line) => line.startsWith('| `'));
  return lines.map((line) => {
    const [, metric = '', type = '', labels = '', meaning = ''] = line
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', ''));
    return [metric, { type, labels: labels.split(', ').filter((label) => label !== ''), meaning }];
  });
}

type Pair = readonly [string, string];

function pairs(text: string, pattern: RegExp): Pair[] {
  return [...text.matchAll(pattern)].map(([, first = '', second = '']) => [first, second]);
}

function nameOf(series: string): string {
  return series.split('{')[0] ?? '';
}

function labelsOf(series: string): string[] {
  return [...series.matchAll(/(\w+)="/g)].map(([, label = '']) => label);
}
