import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { answerQuestions } from '../helpers/answer-questions.ts';
import { createAnswer } from './behaviours.ts';
import type { Answer } from './behaviours.ts';
import type { ReceiverQuestions } from './receiver.ts';
import { readRequests } from './requests.ts';
import { createTally } from './tally.ts';

/** Many more than wait at a time when thousands of connections are made at once. */
const BACKLOG = 4_096;

const tally = createTally();
const sockets = new Set<Socket>();
let answer: Answer = createAnswer('good', 0);
let servers: Server[] = [];

const answers: ReceiverQuestions = {
  ...tally,
  async listen({ behaviour, deadlineMs, ports }) {
    answer = createAnswer(behaviour, deadlineMs);
    for (const port of ports) await listen(port);
  },
  async leave() {
    const closed = servers.map((server) => once(server.close(), 'close'));
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
    servers = [];
  },
};
answerQuestions(answers);

async function listen(port: number): Promise<void> {
  const server = createServer({ noDelay: true }, receive);
  server.listen({ port, host: '127.0.0.1', backlog: BACKLOG });
  servers.push(server);
  await once(server, 'listening');
}

function receive(socket: Socket): void {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  // Who sends may break off.
  socket.on('error', () => socket.destroy());
  readRequests(socket, (request) => {
    tally.take(request);
    answer(socket);
  });
}
