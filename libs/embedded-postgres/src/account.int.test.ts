import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseIdentity } from './account.ts';
import { findBinaries } from './binaries.ts';
import { clusterFiles, createCluster } from './cluster.ts';
import { launchPostmaster } from './launch.ts';
import { stopLeftPostgres } from './start.ts';

const isRoot = process.getuid?.() === 0;

/** CAP_DAC_READ_SEARCH alone, or CAP_DAC_OVERRIDE alone, as `/proc/<pid>/status` shows them. */
const ONE_CAPABILITY = /^CapEff:\s*0+[42]$/m;

describe.runIf(isRoot)(
  'root, when programs and data lie below a folder that only root may enter',
  () => {
    let folder: string;

    beforeEach(async () => {
      // Of mode 0700, as a home of root is.
      folder = await mkdtemp(join(tmpdir(), 'billhook-closed-'));
    });
    afterEach(async () => {
      await stopLeftPostgres(join(folder, 'postgres'));
      await rm(folder, { recursive: true, force: true });
    });

    test('runs Postgres as another user with the one capability that opens the folder', async () => {
      const programs = join(folder, 'native', 'bin');
      await cp(dirname(dirname(findBinaries().postgres)), dirname(programs), {
        recursive: true,
        verbatimSymlinks: true,
      });
      const binaries = { initdb: join(programs, 'initdb'), postgres: join(programs, 'postgres') };
      const dataDir = join(folder, 'postgres');
      await mkdir(dataDir);
      const files = clusterFiles(dataDir);

      const identity = await chooseIdentity(binaries, files.cluster);
      await createCluster(dataDir, { identity, binaries }, 'none');
      const server = await launchPostmaster(
        files,
        { identity, binaries },
        { durability: 'none', port: undefined },
      );

      const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
      expect(status).not.toMatch(/^Uid:\s*0\s/m);
      expect(status).toMatch(ONE_CAPABILITY);
    });
  },
);
