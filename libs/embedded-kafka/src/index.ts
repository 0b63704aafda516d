export { createKafkaBroker } from './broker.ts';
export type { KafkaBroker, KafkaBrokerOptions } from './broker.ts';
export { EmbeddedKafkaError } from './errors.ts';
export { stopLeftKafka } from './left-broker.ts';
export { brokerAnswers } from './probe.ts';
export { whyNoKafka } from './programs.ts';
