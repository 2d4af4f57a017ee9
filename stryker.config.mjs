// Mutation testing of sealing and keys: `npm run mutate`, or `npm run mutate -- --mutate src/protocol/envelope.ts` for a part.
// What it found is in docs/mutation-testing.md.

export default {
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.mutation.config.ts', related: false },
  mutate: ['src/protocol/envelope.ts', 'src/crypto/**/*.ts', 'src/keys/**/*.ts'],
  coverageAnalysis: 'perTest',
  concurrency: 2,
  // Only a mutant that never ends should count as killed by time, not a busy machine.
  timeoutMS: 12_000,
  // Another run tests only what changed, and what nobody killed.
  incremental: true,
  reporters: ['progress-append-only', 'clear-text', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
  ignorePatterns: ['docs', 'bench', 'examples'],
};
