/** A broker cannot be had or does not start; the message is a sentence for whoever started it. */
export class EmbeddedKafkaError extends Error {
  override readonly name = 'EmbeddedKafkaError';
}
