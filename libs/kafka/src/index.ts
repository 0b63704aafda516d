export { createKafkaClient, RETRY } from './client.ts';
export type { KafkaClientOptions } from './client.ts';
