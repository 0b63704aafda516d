import { Socket } from 'node:net';

/**
 * A socket that sends what is written within one turn of the event loop at once. The statements of a step
 * would else be as many system calls and packets, each of which wakes Postgres up.
 */
export class GatheringSocket extends Socket {
  private isGathering = false;

  override write(...args: Parameters<Socket['write']>): boolean {
    if (!this.isGathering) {
      this.isGathering = true;
      this.cork();
      process.nextTick(() => {
        this.isGathering = false;
        this.uncork();
      });
    }
    return super.write(...args);
  }
}
