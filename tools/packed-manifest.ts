/**
 * `npm pack` and `npm publish` run it: `--strip` writes the `package.json` of the tarball, without the condition
 * for the sources, which it does not have, and without fields that only this repository uses; `--restore` restores
 * the one of the repository.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
const MANIFEST = join(ROOT, 'package.json');
/** Where the manifest of the repository is kept while the packed one replaces it. */
const KEPT = join(ROOT, 'node_modules', '.package-of-the-repository.json');

type Target = string | Readonly<Record<string, string>>;

interface Manifest {
  readonly exports: Readonly<Record<string, Target>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly [name: string]: unknown;
}

/** The manifest of the package. */
export function packedManifest({ scripts: _scripts, ...manifest }: Manifest): Manifest {
  const { devDependencies: _development, allowScripts: _allowed, overrides: _overrides, ...kept } = manifest;
  const exports = Object.fromEntries(
    Object.entries(manifest.exports).map(([entry, target]): [string, Target] => {
      if (typeof target === 'string') return [entry, target];
      const { 'strongroom-source': _source, ...others } = target;
      return [entry, others];
    }),
  );
  return { ...kept, exports };
}

if (import.meta.main) {
  // An earlier run may have been interrupted.
  if (existsSync(KEPT)) renameSync(KEPT, MANIFEST);
  if (process.argv.includes('--strip')) {
    const text = readFileSync(MANIFEST, 'utf8');
    writeFileSync(KEPT, text);
    writeFileSync(
      MANIFEST,
      `${JSON.stringify(packedManifest(JSON.parse(text) as Manifest), undefined, 2)}\n`,
    );
  }
}
