export type { Counter } from './counters.ts';
export { DURATION_BUCKETS_SECONDS } from './histograms.ts';
export type { Histogram } from './histograms.ts';
export type { Metric } from './metric.ts';
export { createMonitoring } from './monitoring.ts';
export type { GaugeOf, Monitoring } from './monitoring.ts';
export { startMonitoringServer } from './server.ts';
export type { MonitoringServer } from './server.ts';
export { startMonitored } from './start-monitored.ts';
