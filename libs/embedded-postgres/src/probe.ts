import { connect } from 'node:net';

/**
 * The message with which a client asks for TLS before it says anything else; the server answers it
 * with one byte, whoever asks (PostgreSQL documentation, "Message Formats", SSLRequest).
 */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

const ANSWER_TIMEOUT_MS = 1_000;

/**
 * Says whether a Postgres answers on a port of loopback. A process that was killed is still listed
 * for a moment, and the system still takes connections for it; it answers nothing any more.
 */
export async function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: '127.0.0.1', port });
  socket.setTimeout(ANSWER_TIMEOUT_MS);
  socket.once('connect', () => socket.write(SSL_REQUEST));
  socket.once('data', () => resolve(true));
  for (const end of ['timeout', 'error', 'close'] as const) socket.on(end, () => resolve(false));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
