import type { KafkaBroker } from '@billhook/embedded-kafka';
import type { CopyListener, Victim } from './copy.ts';

/** Lets a broker be frozen as well, and tells of its processes. */
export function createBrokerVictim(
  broker: KafkaBroker,
  listener: Pick<CopyListener, 'started' | 'ended'>,
): Victim {
  const signal = (name: NodeJS.Signals) => {
    if (broker.pid !== undefined) process.kill(broker.pid, name);
  };
  return {
    name: 'broker',
    get pid() {
      return broker.pid;
    },
    async start() {
      await broker.start();
      if (broker.pid !== undefined) listener.started?.(broker.pid);
    },
    async kill() {
      const { pid } = broker;
      await broker.kill();
      if (pid !== undefined) listener.ended?.(pid);
    },
    freeze: async () => signal('SIGSTOP'),
    thaw: async () => signal('SIGCONT'),
  };
}
