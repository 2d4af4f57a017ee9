import { dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { BROWSER_FILES } from '../../tools/browser-files.ts';
import { buildPackage } from '../children/run.ts';
import type { Group } from '../group.ts';
import { against } from '../rounds.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** Programs that import some of the package and nothing else. */
const BUNDLES: Readonly<Record<string, string>> = {
  'all of strongroom': "export * from 'strongroom';",
  'encrypt, expire, cache': "export { wrapSession, encrypt, expire, cache } from 'strongroom';",
  'encrypt, expire, cache, keyring':
    "export { wrapSession, encrypt, expire, cache, keyring } from 'strongroom';",
  'encrypt, expire, cache, redact':
    "export { wrapSession, encrypt, expire, cache, keyring, redact } from 'strongroom';",
  'all of strongroom/redaction': "export * from 'strongroom/redaction';",
  'all of strongroom/history': "export * from 'strongroom/history';",
  'all of strongroom/keys': "export * from 'strongroom/keys';",
};

export const bundleGroup: Group = {
  title: 'Bundles',
  note: 'Bytes of a bundle for a browser or an edge runtime, with all dependencies, by rolldown, minified, without comments.',
  async *measure() {
    buildPackage();
    const names = Object.keys(BUNDLES).map((name) => ({ name }));
    const minified: number[][] = [];
    const zipped: number[][] = [];
    for (const program of Object.values(BUNDLES)) {
      const code = await bundle(program);
      minified.push([Buffer.byteLength(code)]);
      zipped.push([gzipSync(code, { level: 9 }).length]);
    }
    yield {
      title: 'bundle',
      unit: 'bytes',
      base: 'all of strongroom',
      columns: [
        { title: 'minified', results: against(names, minified, 0) },
        { title: 'gzipped', results: against(names, zipped, 0) },
      ],
    };
  },
};

/** What `browser` of package.json does for the build, for the sources. */
const replaced = new Map(
  Array.from(BROWSER_FILES, (pair) => pair.map((file) => join(ROOT, file)) as [string, string]),
);

/**
 * A program with everything that it imports, as one minified file.
 *
 * @param condition `strongroom-source` bundles the sources instead of the build.
 */
export async function bundle(program: string, condition?: 'strongroom-source'): Promise<string> {
  const name = join(ROOT, 'bench', 'bundled-program.js');
  const build = await rolldown({
    input: name,
    platform: 'browser',
    ...(condition === undefined
      ? {}
      : { resolve: { conditionNames: [condition, 'import', 'browser', 'default'] } }),
    external: /^(?:node:|@openai\/agents|@opentelemetry\/api|gpt-tokenizer)/,
    plugins: [
      {
        name: 'program',
        resolveId: (id: string, importer: string | undefined) => {
          if (id === name) return id;
          return condition === undefined || importer === undefined
            ? null
            : (replaced.get(resolve(dirname(importer), id)) ?? null);
        },
        load: (id: string) => (id === name ? program : null),
      },
    ],
    logLevel: 'silent',
  });
  try {
    const { output } = await build.generate({
      format: 'esm',
      minify: true,
      comments: false,
      codeSplitting: false,
    });
    return output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('');
  } finally {
    await build.close();
  }
}
