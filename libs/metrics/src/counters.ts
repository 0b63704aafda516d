import { Counter as PrometheusCounter, type Registry } from 'prom-client';
import { createFamilies, type Labels, type Metric } from './metric.ts';

/** A number that only grows. */
export interface Counter {
  readonly add: (count: number) => void;
}

interface Series {
  readonly labels: Labels;
  count: number;
}

/**
 * Makes counters of a registry. To count costs an addition: prom-client, which makes a text of the
 * labels for each increment, gets the numbers when they are asked for.
 */
export function createCounters(registry: Registry): (metric: Metric) => Counter {
  const seriesOf = createFamilies(({ name, help, labels = {} }): Series[] => {
    const all: Series[] = [];
    const collect = (): void => {
      counter.reset();
      for (const series of all) counter.inc(series.labels, series.count);
    };
    const labelNames = Object.keys(labels);
    const counter = new PrometheusCounter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect,
    });
    return all;
  });
  return (metric) => {
    const series: Series = { labels: metric.labels ?? {}, count: 0 };
    seriesOf(metric).push(series);
    return {
      add(count) {
        series.count += count;
      },
    };
  };
}
