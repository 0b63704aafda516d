import { connect } from 'node:net';
import type { ISocketFactory } from 'kafkajs';

const KEEP_ALIVE_AFTER_MS = 10_000;

/**
 * Opens connections until the signal aborts, which also breaks those that are open. KafkaJS has no other
 * way to end what it repeats: an attempt to connect goes on for ever, whoever disconnects.
 */
export function socketsUntil(signal: AbortSignal): ISocketFactory {
  return ({ host, port, onConnect }) => {
    signal.throwIfAborted();
    const socket = connect({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_AFTER_MS);
    const onAbort = (): void => {
      socket.destroy(new Error('The client is closed.'));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', onAbort));
    return socket;
  };
}
