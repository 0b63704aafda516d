import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { ISocketFactory } from 'kafkajs';

const KEEP_ALIVE_AFTER_MS = 10_000;

/**
 * Opens connections until the signal aborts, which also breaks those that are open. KafkaJS has no other
 * way to end what it repeats: an attempt to connect goes on for ever, whoever disconnects.
 */
export function socketsUntil(signal: AbortSignal): ISocketFactory {
  const open = new Set<Socket>();
  const breakAll = (): void => {
    for (const socket of open) socket.destroy(new Error('The client is closed.'));
  };
  signal.addEventListener('abort', breakAll, { once: true });
  return ({ host, port, onConnect }) => {
    signal.throwIfAborted();
    const socket = connect({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_AFTER_MS);
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    return socket;
  };
}
