export { createKafkaClient, RETRY } from './client.ts';
export type { KafkaClientOptions } from './client.ts';
export { createPartitionProducer } from './partition-producer.ts';
export type { PartitionProducer } from './partition-producer.ts';
export { readRecords } from './read-records.ts';
export type { RecordsRequest } from './read-records.ts';
export { createAdmin, createTopicKeeper, readEnds } from './topic.ts';
export type { PartitionEnds, TopicKeeper, TopicOptions } from './topic.ts';
export type { Admin, Consumer, IHeaders, Kafka, KafkaMessage, Message } from 'kafkajs';
export { openTopicConsumer } from './topic-consumer.ts';
export type {
  TopicConsumer,
  TopicConsumerHandlers,
  TopicConsumerOptions,
} from './topic-consumer.ts';
