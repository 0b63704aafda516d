export { createKafkaClient, RETRY } from './client.ts';
export type { KafkaClientOptions } from './client.ts';
export type { Consumer, IHeaders, Kafka, KafkaMessage, Message } from 'kafkajs';
