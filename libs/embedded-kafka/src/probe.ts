import { once } from 'node:events';
import { connect } from 'node:net';

const ANSWER_TIMEOUT_MS = 2_000;
const CORRELATION_ID = 1;

/**
 * Asks for the brokers of the cluster and for no topic, as kafka.apache.org/protocol says: size, API
 * key 3 (metadata) in version 1, correlation id, no client id, no topics.
 */
const METADATA_REQUEST = Buffer.concat([
  int32(14),
  int16(3),
  int16(1),
  int32(CORRELATION_ID),
  int16(-1),
  int32(0),
]);

/** Where the answer says to which request it belongs, and how many brokers there are. */
const ANSWER = { correlationId: 4, brokers: 8, bytes: 12 } as const;

/** Says whether a broker listens there and knows of at least one broker that takes requests. */
export async function brokerAnswers(host: string, port: number): Promise<boolean> {
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal });
    socket.write(METADATA_REQUEST);
    // What comes in pieces is asked for again by whoever waits for it.
    const [answer]: readonly unknown[] = await once(socket, 'data', { signal });
    return (
      Buffer.isBuffer(answer) &&
      answer.length >= ANSWER.bytes &&
      answer.readInt32BE(ANSWER.correlationId) === CORRELATION_ID &&
      answer.readInt32BE(ANSWER.brokers) > 0
    );
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
