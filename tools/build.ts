/**
 * Builds the code of `dist` by rolldown, in few files, because each loaded file makes the start of a process
 * slower. Code that only some entry points need is in separate files, so that no entry point loads code that it
 * does not use. TypeScript writes the declarations beside it, one for each file of `src`; they hold the
 * documentation, so the code is without comments.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const ROOT = resolve(import.meta.dirname, '..');

const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { readonly 'strongroom-source': string }>;
};
const sources = Object.values(exports).flatMap((target) =>
  typeof target === 'string' ? [] : [target['strongroom-source']],
);

const build = await rolldown({
  input: Object.fromEntries(
    sources.map((source) => [source.replace(/^\.\/src\/(.*)\.ts$/, '$1'), join(ROOT, source)]),
  ),
  platform: 'neutral',
  external: /^[^./]/,
  // As `sideEffects` of package.json says.
  treeshake: { moduleSideEffects: false },
});
try {
  await build.write({
    dir: join(ROOT, 'dist'),
    format: 'esm',
    chunkFileNames: 'shared/[name].js',
    comments: { annotation: true, jsdoc: false, legal: true },
    codeSplitting: {
      // It imports modules that other files name, which tools/import-graph.ts has to distinguish from a computed
      // import.
      groups: [{ name: 'load-module', test: /\/load-module\.ts$/ }],
    },
  });
} finally {
  await build.close();
}
