import { basename } from 'node:path';

/** Files of `src` that bundles for browsers replace by others with the same exports. */
export const BROWSER_FILES: ReadonlyMap<string, string> = new Map([
  ['src/crypto/aes.ts', 'src/crypto/aes-at-once.ts'],
  ['src/layers/cache/bounded-lists.ts', 'src/layers/cache/bounded-lists-in-a-map.ts'],
  ['src/crypto/with-sodium.ts', 'src/crypto/without-sodium.ts'],
]);

/**
 * `browser` of package.json. Bundlers compare the address of the file that has the code: an entry point that only
 * exports it again is never replaced.
 */
export const browserField: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from(BROWSER_FILES, ([source, other]) => [
    `./dist/shared/${basename(source, '.ts')}.js`,
    other.replace('src/', './dist/').replace(/\.ts$/, '.js'),
  ]),
);
