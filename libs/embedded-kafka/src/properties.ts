/** Where a broker keeps its data and listens. */
interface BrokerPlace {
  /** The folder of its data. */
  readonly data: string;
  readonly port: number;
  readonly controllerPort: number;
}

/**
 * The configuration of one broker that is its own controller, on loopback. Topics are made by hand,
 * nothing is replicated, groups form at once, and a broker that was killed is back within 3 s instead
 * of 12 (`broker.session.timeout.ms`).
 */
export function brokerProperties({ data, port, controllerPort }: BrokerPlace): string {
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'default.replication.factor': 1,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 500,
    'broker.session.timeout.ms': 1_000,
    'broker.heartbeat.interval.ms': 100,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
