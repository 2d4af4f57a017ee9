import { buildPackage, numberFrom } from '../children/run.ts';
import type { Group } from '../group.ts';
import { compareSamples } from '../rounds.ts';

/** What is imported, by name; the package as it is published. */
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  '@openai/agents': ['@openai/agents'],
  strongroom: ['strongroom'],
  'strongroom/sqlite': ['strongroom/sqlite'],
  'strongroom/redaction': ['strongroom/redaction'],
  'strongroom/history': ['strongroom/history'],
  'lru-cache, jose and what else it imports': [
    'jose',
    '@noble/ciphers/chacha.js',
    '@noble/hashes/sha2.js',
    'lru-cache',
  ],
};

export const importGroup: Group = {
  title: 'Imports',
  note: 'Time of import() as the first thing in a process of its own, the fastest of three in each round.',
  async *measure({ rounds }) {
    buildPackage();
    const samplers = Object.entries(IMPORTS).map(([name, specifiers]) => {
      const imports = specifiers.map((specifier) => `await import(${JSON.stringify(specifier)});`).join(' ');
      const program = `const start = performance.now(); ${imports} console.log((performance.now() - start) * 1_000);`;
      const importOnce = (): number => numberFrom(['--input-type=module', '--eval', program]);
      // The fastest of three: other work on the machine can only make an import slower.
      return { name, sample: () => Math.min(importOnce(), importOnce(), importOnce()) };
    });
    const results = await compareSamples(samplers, rounds);
    yield {
      title: 'import',
      unit: 'time',
      base: '@openai/agents',
      columns: [{ title: 'import()', results }],
    };
  },
};
