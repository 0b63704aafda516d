/**
 * Prints one line on standard output, as it stands. The log goes to standard error, so that whoever
 * starts Billhook can wait for these lines.
 */
export function announce(line: string): void {
  process.stdout.write(`${line}\n`);
}
