import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { AUTHORITATIVE_ANSWER, decode, encode } from 'dns-packet';
import type { Answer, Packet, Question } from 'dns-packet';

/** What was asked, as it came. */
export interface DnsQuestion {
  /** In lower case. */
  readonly name: string;
  readonly type: 'A' | 'AAAA';
  /** The how manieth question it is for this type of this name: 1, 2, 3, ... */
  readonly count: number;
}

/** What a name has: addresses of both families, of which those of the type are answered. */
export type DnsAnswer =
  | readonly string[]
  /** The name stands for another one, whose addresses come along (CNAME). */
  | { readonly alias: string; readonly addresses: readonly string[] }
  /** No such name. */
  | 'unknown'
  /** The server cannot say. */
  | 'failed'
  /** No answer. */
  | 'silent';

export type AnswerDnsQuestion = (question: DnsQuestion) => DnsAnswer;

/** A real DNS server on loopback. */
export interface DnsServer {
  /** `127.0.0.1:<port>`, as `setServers` of a resolver takes it. */
  readonly address: string;
  /** In the order in which they came; grows while the server is open. */
  readonly questions: readonly DnsQuestion[];
  close(): Promise<void>;
}

const RESPONSE_CODES = { unknown: 3, failed: 2 } as const;

/** Starts a DNS server that answers by a function, with a time to live of 0. The test closes it. */
export async function startDnsServer(answer: AnswerDnsQuestion): Promise<DnsServer> {
  const questions: DnsQuestion[] = [];
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  socket.on('message', (bytes, from) => {
    const packet = decode(bytes);
    const [asked] = packet.questions ?? [];
    if (asked?.type !== 'A' && asked?.type !== 'AAAA') return;
    const name = asked.name.toLowerCase();
    const { type } = asked;
    const earlier = questions.filter((each) => each.name === name && each.type === type);
    const question = { name, type, count: earlier.length + 1 };
    questions.push(question);
    const response = respond({ packet, asked }, question, answer(question));
    if (response !== undefined) socket.send(encode(response), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    close: () => new Promise((resolve) => socket.close(resolve)),
  };
}

function respond(
  { packet, asked }: { readonly packet: Packet; readonly asked: Question },
  { type }: DnsQuestion,
  answer: DnsAnswer,
): Packet | undefined {
  if (answer === 'silent') return undefined;
  const code = typeof answer === 'string' ? RESPONSE_CODES[answer] : 0;
  const answers = typeof answer === 'string' ? [] : toRecords(asked.name, type, answer);
  return {
    type: 'response',
    id: packet.id ?? 0,
    // The lowest four bits of the flags are the response code (RFC 1035, 4.1.1).
    flags: AUTHORITATIVE_ANSWER | code,
    questions: [asked],
    answers,
  };
}

function toRecords(
  name: string,
  type: DnsQuestion['type'],
  answer: Exclude<DnsAnswer, string>,
): Answer[] {
  if ('alias' in answer) {
    const { alias, addresses } = answer;
    return [{ type: 'CNAME', name, ttl: 0, data: alias }, ...toRecords(alias, type, addresses)];
  }
  return answer
    .filter((address) => isIPv6(address) === (type === 'AAAA'))
    .map((data): Answer => ({ type, name, ttl: 0, data }));
}
