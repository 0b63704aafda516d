import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = join(root, 'node_modules', '.bin', 'tsc');

/** The services that must not know each other; standalone is made of all of them. */
const services = ['dispatcher', 'gateway', 'invoice', 'subscription'];

describe('the boundaries between services', () => {
  let workspace: string;

  beforeAll(() => {
    workspace = mkdtempSync(join(tmpdir(), 'billhook-boundaries-'));
    copyWorkspaceShape(workspace);
  });

  afterAll(() => {
    rmSync(workspace, { recursive: true, force: true });
  });

  it('let a workspace without a violation pass', () => {
    expect(errorsOf(workspace)).toEqual([]);
  });

  it('refuse every import from one service into another, by path and by package name', () => {
    const planted = services.flatMap((service) =>
      services
        .filter((other) => other !== service)
        .flatMap((other) => [
          plant(workspace, service, { other, specifier: `../../${other}/src/index.ts` }),
          plant(workspace, service, { other, specifier: `@billhook/${other}` }),
        ]),
    );
    const errors = errorsOf(workspace);
    const unnoticed = planted.filter((file) => !errors.some((error) => mentions(error, file)));
    expect(planted).toHaveLength(services.length * (services.length - 1) * 2);
    expect(unnoticed).toEqual([]);
  });

  it('hold because no package but standalone names a service in its configuration', () => {
    const naming = packageFolders()
      .filter((folder) => folder !== join('services', 'standalone'))
      .filter((folder) => services.some((other) => configurationNames(folder, other)));
    expect(naming).toEqual([]);
  });
});

function packageFolders(): readonly string[] {
  return ['libs', 'services'].flatMap((room) =>
    readdirSync(join(root, room)).map((name) => join(room, name)),
  );
}

/** Says whether a package depends on a service, or has it among its project references. */
function configurationNames(folder: string, service: string): boolean {
  const dependencies = readFileSync(join(root, folder, 'package.json'), 'utf8');
  const references = readFileSync(join(root, folder, 'tsconfig.json'), 'utf8');
  return dependencies.includes(`"@billhook/${service}":`) || references.includes(`/${service}"`);
}

/**
 * Copies what decides about imports (the configuration and the links between the packages) into a
 * temporary folder, with one small source file in each package instead of its own.
 */
function copyWorkspaceShape(workspace: string): void {
  cpSync(join(root, 'tsconfig.base.json'), join(workspace, 'tsconfig.base.json'));
  cpSync(join(root, 'tsconfig.json'), join(workspace, 'tsconfig.json'));
  symlinkSync(join(root, 'node_modules'), join(workspace, 'node_modules'));
  for (const folder of packageFolders()) copyPackageShape(workspace, folder);
}

function copyPackageShape(workspace: string, folder: string): void {
  mkdirSync(join(workspace, folder, 'src'), { recursive: true });
  for (const file of ['package.json', 'tsconfig.json']) {
    cpSync(join(root, folder, file), join(workspace, folder, file));
  }
  const links = join(root, folder, 'node_modules');
  if (existsSync(links)) {
    const copy = join(workspace, folder, 'node_modules');
    cpSync(links, copy, { recursive: true, verbatimSymlinks: true });
  }
  writeFileSync(join(workspace, folder, 'src', 'index.ts'), `export const room = '${folder}';\n`);
}

/** @returns the planted file, as the compiler names it. */
function plant(
  workspace: string,
  service: string,
  violation: { readonly other: string; readonly specifier: string },
): string {
  const kind = violation.specifier.startsWith('.') ? 'by-path' : 'by-name';
  const file = `services/${service}/src/${violation.other}-${kind}.ts`;
  writeFileSync(join(workspace, file), `export { room } from '${violation.specifier}';\n`);
  return file;
}

/** @returns the lines in which the compiler reports an error. */
function errorsOf(workspace: string): readonly string[] {
  try {
    execFileSync(tsc, ['-b', '--pretty', 'false'], { cwd: workspace, encoding: 'utf8' });
    return [];
  } catch (error) {
    const output =
      error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
    return output.split('\n').filter((line) => line.includes('error TS'));
  }
}

function mentions(error: string, file: string): boolean {
  return error.startsWith(`${file}(`);
}
