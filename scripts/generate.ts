/**
 * Makes `libs/contracts/src/generated` from `proto/`: types and stubs by ts-proto, and the
 * descriptor set that gRPC reflection serves. With `--check` it fails when what is committed
 * differs from what would be made.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const generated = 'libs/contracts/src/generated';

function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { cwd: root, stdio: 'inherit' });
}

run('buf', ['generate']);
run('buf', ['build', '--as-file-descriptor-set', '-o', `${generated}/descriptors.binpb`]);

if (process.argv.includes('--check')) {
  const changed = execFileSync('git', ['status', '--porcelain', '--', generated], {
    cwd: root,
    encoding: 'utf8',
  });
  if (changed.length > 0) {
    console.error('Generated code is out of date. Run `npm run generate` and commit:');
    console.error(changed);
    process.exit(1);
  }
}
