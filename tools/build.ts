/**
 * Builds the code of `dist` by rolldown, in few files, because each loaded file makes the start of a process
 * slower. Code that only some entry points need is in separate files, so that no entry point loads code that it
 * does not use. TypeScript writes the declarations beside it, one for each file of `src`; they hold the
 * documentation, so the code is without comments.
 *
 * Usage: node tools/build.ts [folder]; default: dist.
 */
import { readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { BROWSER_FILES, browserField } from './browser-files.ts';
import { importGraph } from './import-graph.ts';

const ROOT = resolve(import.meta.dirname, '..');
const OUT = resolve(process.argv[2] ?? join(ROOT, 'dist'));

const { exports, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { readonly 'strongroom-source': string }>;
  bin: Record<string, string>;
};
/** Each of these is an entry, so that its code is in a file of its own. */
const forBrowsers = [...BROWSER_FILES].flat();
const sources = Object.values(exports).flatMap((target) =>
  typeof target === 'string' ? [] : [target['strongroom-source']],
);

function sourceOf(built: string): string {
  return built.replace('./dist/', './src/').replace(/\.js$/, '.ts');
}

/** The folders of which most entry points need some files, and those of which many do. */
const BASE = /^src\/(?:[\w-]+\.ts|(?:crypto|protocol)\/)/;
const CORE = /^src\/(?:[\w-]+\.ts|(?:crypto|protocol|engine|keys)\/)/;

/** Whether a file can be joined with others that load no more than these packages. */
function loadsOnly(
  id: string,
  rooms: RegExp,
  eager: readonly string[],
  lazy: readonly string[] = [],
): boolean {
  const file = relative(ROOT, id);
  if (!rooms.test(file) || file === 'src/index.ts' || forBrowsers.includes(file)) return false;
  const graph = importGraph(file);
  const isOne =
    (packages: readonly string[]) =>
    (name: string): boolean =>
      packages.some((one) => name === one || name.startsWith(`${one}/`));
  return [...graph.eager].every(isOne(eager)) && [...graph.lazy].every(isOne(lazy));
}

const build = await rolldown({
  input: Object.fromEntries(
    [...sources, ...Object.values(bin).map(sourceOf), ...forBrowsers.map((file) => `./${file}`)].map(
      (source) => [source.replace(/^\.\/src\/(.*)\.ts$/, '$1'), join(ROOT, source)],
    ),
  ),
  platform: 'neutral',
  external: /^[^./]/,
  // As `sideEffects` of package.json says.
  treeshake: { moduleSideEffects: false },
});
try {
  const { output } = await build.write({
    dir: OUT,
    format: 'esm',
    chunkFileNames: 'shared/[name].js',
    // A file that replaces another for browsers needs the same names.
    minifyInternalExports: false,
    comments: { annotation: true, jsdoc: false, legal: true },
    codeSplitting: {
      // It imports modules that other files name, which tools/import-graph.ts has to distinguish from a computed
      // import.
      groups: [
        { name: 'load-module', test: /\/load-module\.ts$/, priority: 3 },
        { name: 'base', test: (id) => loadsOnly(id, BASE, []), priority: 2 },
        { name: 'hashed', test: (id) => loadsOnly(id, BASE, ['@noble/hashes']), priority: 1.5 },
        // Files of their own, because `ciphers` would take what its files import: bundles for browsers replace one of them.
        { name: 'sodium', test: /\/crypto\/sodium\.ts$/, priority: 1.3 },
        { name: 'with-sodium', test: /\/crypto\/with-sodium\.ts$/, priority: 1.2 },
        { name: 'engine', test: (id) => loadsOnly(id, CORE, ['@noble/hashes']), priority: 1 },
        {
          name: 'ciphers',
          test: (id) => loadsOnly(id, CORE, ['@noble/hashes', '@noble/ciphers'], ['libsodium']),
          priority: 1,
        },
        {
          name: 'core',
          test: (id) =>
            loadsOnly(
              id,
              CORE,
              ['@noble/hashes', '@noble/ciphers', 'lru-cache'],
              ['@openai/agents', 'libsodium'],
            ),
        },
      ],
    },
  });
  const exportsOf = (file: string): string =>
    output
      .flatMap((chunk) =>
        `./dist/${chunk.fileName}` === file && chunk.type === 'chunk' ? chunk.exports : [],
      )
      .toSorted()
      .join();
  for (const [file, other] of Object.entries(browserField)) {
    if (exportsOf(file) === '' || exportsOf(file) !== exportsOf(other))
      throw new Error(`${other} cannot replace ${file} for browsers: their exports differ.`);
  }
} finally {
  await build.close();
}
