import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { bundle } from '../../bench/groups/bundle.ts';
import { browserField } from '../../tools/browser-files.ts';
import { packedManifest } from '../../tools/packed-manifest.ts';

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Parameters<typeof packedManifest>[0];

describe('the package.json of the tarball', () => {
  const packed = packedManifest(manifest);

  it('has no condition for the sources, which the tarball does not have', () => {
    expect(manifest['files']).not.toContain('src');
    expect(JSON.stringify(packed)).not.toMatch(/strongroom-source|"\.\/src/);
  });

  it('leaves out what `npm run docs` builds into docs, which would be three times the rest', () => {
    expect(manifest['files']).toEqual(expect.arrayContaining(['docs', '!docs/api']));
  });

  it('replaces for browsers the files of the build that have the code of the replaced sources', () => {
    expect(packed['browser']).toEqual(browserField);
  });

  it('keeps every entry point, with types before code', () => {
    expect(Object.keys(packed.exports)).toEqual(Object.keys(manifest.exports));
    const targets = Object.values(packed.exports).filter((target) => typeof target !== 'string');
    expect(new Set(targets.map((target) => Object.keys(target).join()))).toEqual(new Set(['types,default']));
  });

  it('keeps the fields that users need, and none that only this repository uses', () => {
    for (const name of ['name', 'version', 'engines', 'dependencies', 'peerDependencies', 'sideEffects']) {
      expect(packed[name]).toEqual(manifest[name]);
    }
    for (const name of ['scripts', 'devDependencies', 'allowScripts', 'overrides']) {
      expect(packed).not.toHaveProperty(name);
    }
  });
});

describe('a bundle of encrypt, expire and cache', () => {
  it('has at most 50 kB, minified and gzipped, and nothing of redaction, pages, branches, archives and ledgers', async () => {
    const [small, redacting] = await Promise.all(
      ['', ', redact'].map(async (more) =>
        bundle(
          `export { wrapSession, encrypt, expire, cache${more} } from 'strongroom';`,
          'strongroom-source',
        ),
      ),
    );
    // From the sources. From the package it is 0.2 kB more.
    expect(gzipSync(small as string, { level: 9 }).length).toBeLessThanOrEqual(49_800);
    expect(small).not.toMatch(
      /EMAIL_ADDRESS|LRU_CACHE|the newest page|branch from the whole history|archiveTo|usage ledger/,
    );
    expect(redacting).toContain('EMAIL_ADDRESS');
  });
});
