export { createKafkaBroker } from './broker.ts';
export type { KafkaBroker, KafkaBrokerOptions } from './broker.ts';
export { EmbeddedKafkaError } from './errors.ts';
export { whyNoKafka } from './programs.ts';
