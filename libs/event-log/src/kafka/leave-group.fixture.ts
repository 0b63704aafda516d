import { once } from 'node:events';
import { connect } from 'node:net';

const LEAVE_GROUP = 13;
const VERSION = 0;
const CLIENT_ID = 'test';
const RESPONSE_BYTES = 10;

/** Makes a member leave its group behind its back, as an administrator may. */
export async function leaveGroup(
  broker: string,
  member: { readonly groupId: string; readonly memberId: string },
): Promise<void> {
  const [host = '', port] = broker.split(':');
  const header = Buffer.alloc(8);
  header.writeInt16BE(LEAVE_GROUP, 0);
  header.writeInt16BE(VERSION, 2);
  const request = Buffer.concat([
    header,
    ...[CLIENT_ID, member.groupId, member.memberId].map(text),
  ]);
  const length = Buffer.alloc(4);
  length.writeInt32BE(request.length);
  const socket = connect(Number(port), host);
  socket.write(Buffer.concat([length, request]));
  const [response] = await once(socket, 'data');
  socket.destroy();
  if (!Buffer.isBuffer(response) || response.length !== RESPONSE_BYTES) {
    throw new Error('The broker did not understand.');
  }
  const errorCode = response.readInt16BE(RESPONSE_BYTES - 2);
  if (errorCode !== 0) throw new Error(`The member did not leave: error ${errorCode}.`);
}

/** A text as the protocol writes it: its length in two bytes, then UTF-8. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
