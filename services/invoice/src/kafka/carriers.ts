import type { BatchProducer, BatchProducerOptions } from '@billhook/kafka';
import type { LedLane } from './led-lane.ts';

type Retrying = Pick<BatchProducerOptions, 'retries'>;

/** Makes a producer for the topic. */
type CreateProducer = (retrying: Retrying) => BatchProducer;

/** A producer with the lanes whose batches are in its request. */
export interface Carrier {
  readonly producer: BatchProducer;
  /** Empty while no request is under way. */
  underWay: readonly LedLane[];
}

/**
 * So often a request of several lanes is repeated, within about a second: what is wrong with one partition
 * must not keep the others longer. A lane by itself is sent without end.
 */
const RETRIES_TOGETHER = 5;

/**
 * The producers that lanes are sent with: one for all lanes that a broker leads, because what a request
 * costs hardly depends on its size, and one for each lane that is sent alone.
 */
export class Carriers {
  readonly #createProducer: CreateProducer;
  readonly #together = new Map<number | undefined, Carrier>();
  readonly #alone = new Map<number, Carrier>();

  constructor(createProducer: CreateProducer) {
    this.#createProducer = createProducer;
  }

  /** The one to send a lane with now. */
  of({ lane, leader, isAlone }: LedLane): Carrier {
    if (isAlone) return this.#find(this.#alone, lane, {});
    return this.#find(this.#together, leader, { retries: RETRIES_TOGETHER });
  }

  /** Gives up what was for this lane alone. */
  closeAlone({ lane }: LedLane): void {
    void this.#alone.get(lane)?.producer.close();
    this.#alone.delete(lane);
  }

  /** Cuts the request short that has a batch of this lane: none may come to the topic any more. */
  cut(led: LedLane): void {
    for (const { producer, underWay } of this.#all()) {
      if (underWay.includes(led)) void producer.close();
    }
  }

  close(): void {
    for (const { producer } of this.#all()) void producer.close();
  }

  #find<Key>(carriers: Map<Key, Carrier>, key: Key, retrying: Retrying): Carrier {
    const found = carriers.get(key);
    if (found !== undefined) return found;
    const carrier: Carrier = { producer: this.#createProducer(retrying), underWay: [] };
    carriers.set(key, carrier);
    return carrier;
  }

  #all(): readonly Carrier[] {
    return [...this.#together.values(), ...this.#alone.values()];
  }
}
