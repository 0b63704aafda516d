/** `Execute` of a prepared statement, and a simple `Query` (postgresql.org, "Message Formats"). */
const EXECUTE = 'E'.charCodeAt(0);
const QUERY = 'Q'.charCodeAt(0);
const LENGTH_BYTES = 4;
const TYPE_BYTES = 1;

/**
 * Counts the statements that a client sends over one connection, which speaks without TLS.
 *
 * @returns takes the bytes as they come, and says how many statements begin in them.
 */
export function createStatementCounter(): (bytes: Buffer) => number {
  let rest = Buffer.alloc(0);
  // The first message, which opens the session, has no type.
  let typeBytes = 0;
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    let statements = 0;
    while (rest.length >= typeBytes + LENGTH_BYTES) {
      const end = typeBytes + rest.readUInt32BE(typeBytes);
      if (rest.length < end) break;
      if (typeBytes > 0 && (rest[0] === EXECUTE || rest[0] === QUERY)) statements += 1;
      rest = rest.subarray(end);
      typeBytes = TYPE_BYTES;
    }
    return statements;
  };
}
