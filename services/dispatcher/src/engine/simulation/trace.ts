import { hashOf } from './random.ts';

/** Lines that are kept: those before them are in the hash only. */
const KEEP_LINES = 4_000;

/** What happened in a run, line by line. The same run has the same hash. */
export class Trace {
  private kept: string[] = [];
  private low = 1;
  private high = 2;

  note(atMs: number, line: string): void {
    const whole = `${(atMs / 1_000).toFixed(4)} ${line}`;
    this.low = hashOf(whole, this.low);
    this.high = hashOf(whole, this.high ^ this.low);
    this.kept.push(whole);
    if (this.kept.length >= 2 * KEEP_LINES) this.kept = this.kept.slice(KEEP_LINES);
  }

  lines(): readonly string[] {
    return this.kept.slice(-KEEP_LINES);
  }

  hash(): string {
    return [this.high, this.low].map((half) => half.toString(16).padStart(8, '0')).join('');
  }
}
