/** How safe a commit is. Without durability a crash of the machine loses everything: tests only. */
export type Durability = 'full' | 'none';

/** Postgres runs with nothing of our environment: variables such as PGPORT would change it. */
export const SERVER_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
} as const;

/** For a small machine that also runs the services. */
const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // A copy of each service opens 40 at most; there may be several.
  max_connections: '200',
  shared_buffers: '192MB',
  effective_cache_size: '1GB',
  work_mem: '8MB',
  maintenance_work_mem: '64MB',
  wal_buffers: '16MB',
  // The write-ahead log since the last checkpoint bounds how long a start after a crash takes.
  max_wal_size: '1GB',
  checkpoint_timeout: '5min',
  random_page_cost: '1.1',
  // Short statements by index gain nothing from these, and a container has little shared memory.
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  // Rows that wait for a delivery come and go: what they leave behind is swept early.
  autovacuum_naptime: '15s',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'warning',
  // The text of a statement that failed may hold what a caller sent.
  log_min_error_statement: 'panic',
};

const DURABILITY_SETTINGS: Readonly<Record<Durability, Readonly<Record<string, string>>>> = {
  full: { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' },
  none: {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    // One server serves all test files that run at the same time.
    max_connections: '300',
    shared_buffers: '128MB',
  },
};

/** The settings as arguments, so that those of the running version always hold. */
export function serverArguments(port: number, durability: Durability): readonly string[] {
  const settings = {
    ...SERVER_SETTINGS,
    ...DURABILITY_SETTINGS[durability],
    port: String(port),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}
