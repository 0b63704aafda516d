import { createFamilies, type Labels, type Metric } from './metric.ts';

/** How values of a kind are distributed. */
export interface Histogram {
  readonly observe: (value: number) => void;
}

export interface HistogramMetric extends Metric {
  /** The upper bounds of its buckets, rising; one without a bound comes after them. */
  readonly buckets: readonly number[];
}

export interface Histograms {
  readonly add: (metric: HistogramMetric) => Histogram;
  /** All of them in Prometheus' text format 0.0.4. */
  readonly text: () => string;
}

/** For calls and transactions, which take milliseconds. */
export const DURATION_BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

interface Family extends Pick<Metric, 'name' | 'help'> {
  readonly series: Series[];
}

interface Series {
  readonly labels: Labels;
  readonly buckets: readonly number[];
  /** One more than there are bounds. */
  readonly counts: Float64Array;
  sum: number;
}

/**
 * Makes histograms. They are not those of prom-client, in which an observation takes a microsecond
 * and leaves garbage (measured): here it takes a few steps through the bounds.
 */
export function createHistograms(): Histograms {
  const families: Family[] = [];
  const familyOf = createFamilies(({ name, help }) => {
    const family: Family = { name, help, series: [] };
    families.push(family);
    return family;
  });
  return {
    add(metric) {
      const { labels = {}, buckets } = metric;
      const counts = new Float64Array(buckets.length + 1);
      const series: Series = { labels, buckets, counts, sum: 0 };
      familyOf(metric).series.push(series);
      return {
        observe(value) {
          let bucket = 0;
          while (value > (buckets[bucket] ?? Infinity)) bucket += 1;
          counts[bucket] = (counts[bucket] ?? 0) + 1;
          series.sum += value;
        },
      };
    },
    text: () => families.map(textOf).join('\n'),
  };
}

function textOf({ name, help, series }: Family): string {
  const head = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
  return [...head, ...series.flatMap((each) => linesOf(name, each)), ''].join('\n');
}

function linesOf(name: string, { labels, buckets, counts, sum }: Series): string[] {
  let count = 0;
  const lines = [...counts].map((inBucket, index) => {
    count += inBucket;
    const bound = buckets[index];
    const le = bound === undefined ? '+Inf' : String(bound);
    return `${name}_bucket${inBraces({ ...labels, le })} ${count}`;
  });
  return [
    ...lines,
    `${name}_sum${inBraces(labels)} ${sum}`,
    `${name}_count${inBraces(labels)} ${count}`,
  ];
}

/** A value is quoted like a text of JSON. */
function inBraces(labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
