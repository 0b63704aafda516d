export { createBatchProducer } from './batch-producer.ts';
export type { BatchProducer, BatchProducerOptions } from './batch-producer.ts';
export { createKafkaClient, RETRY } from './client.ts';
export type { KafkaClientOptions } from './client.ts';
export { readRecords } from './read-records.ts';
export type { RecordsRequest } from './read-records.ts';
export {
  ConfigResourceTypes,
  createAdmin,
  createTopicKeeper,
  readEnds,
  readLeaders,
} from './topic.ts';
export type { PartitionEnds, TopicKeeper, TopicOptions } from './topic.ts';
export type { Admin, Consumer, IHeaders, Kafka, KafkaMessage, Message } from 'kafkajs';
export { openTopicConsumer } from './topic-consumer.ts';
export type {
  TopicConsumer,
  TopicConsumerHandlers,
  TopicConsumerOptions,
} from './topic-consumer.ts';
