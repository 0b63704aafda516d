import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

/** What one process shows of itself: numbers for Prometheus, and whether it is ready. */
export interface Monitoring {
  /** The process's metrics; counters and histograms are made with it. */
  readonly registry: Registry;
  /** Adds a number that is read whenever the metrics are asked for; NaN if it cannot be read. */
  readonly addGauge: (metric: Metric, read: () => number | Promise<number>) => void;
  /** Adds numbers by the values of a label. */
  readonly addLabelledGauge: (
    metric: Metric & { readonly label: string },
    read: () => ReadonlyMap<string | number, number>,
  ) => void;
  /** Adds a check: it says in words what keeps the process from its work, or undefined. */
  readonly addCheck: (check: () => string | undefined) => void;
  /** What keeps the process from its work now; empty when it is ready. */
  readonly problems: () => readonly string[];
}

export interface Metric {
  /** After Prometheus' conventions, such as `billhook_relay_lag_events`. */
  readonly name: string;
  readonly help: string;
}

/** Makes the monitoring of a process, with what Node tells of memory, CPU and the event loop. */
export function createMonitoring(): Monitoring {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const checks: (() => string | undefined)[] = [];
  return {
    registry,
    addGauge(metric, read) {
      const collect = async (): Promise<void> => {
        gauge.set(await Promise.resolve(read()).catch(() => Number.NaN));
      };
      const gauge = new Gauge({ ...metric, registers: [registry], collect });
    },
    addLabelledGauge({ label, ...metric }, read) {
      const collect = (): void => {
        gauge.reset();
        for (const [value, number] of read()) gauge.set({ [label]: value }, number);
      };
      const labelNames = [label];
      const gauge = new Gauge({ ...metric, labelNames, registers: [registry], collect });
    },
    addCheck(check) {
      checks.push(check);
    },
    problems: () => checks.map((check) => check()).filter((problem) => problem !== undefined),
  };
}
