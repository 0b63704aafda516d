export { createMonitoring } from './monitoring.ts';
export type { Metric, Monitoring } from './monitoring.ts';
export { openMonitoring, startMonitoringServer } from './server.ts';
export type { MonitoringServer } from './server.ts';
export { Counter, Histogram } from 'prom-client';
