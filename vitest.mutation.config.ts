import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { keptThread } from './tools/kept-thread.ts';

const SDK = '@openai/agents';
const core = dirname(createRequire(import.meta.resolve(SDK)).resolve(`${SDK}-core`));

// What `npm run mutate` runs against every mutant: the tests of sealing and keys that start no second process and try no
// thousands of inputs.
const config: ViteUserConfig = defineConfig({
  plugins: [
    {
      // The two things that these tests use of the SDK at run time. To load all of it again for each of thousands of
      // mutants takes longer than the tests.
      name: 'parts-of-the-sdk',
      enforce: 'pre',
      resolveId: (id) => (id === SDK ? `\0${SDK}` : undefined),
      load: (id) =>
        id === `\0${SDK}`
          ? `export { MemorySession } from ${JSON.stringify(`${core}/memory/memorySession.mjs`)};
             export * as protocol from ${JSON.stringify(`${core}/types/protocol.mjs`)};`
          : undefined,
    },
    {
      name: 'kept-thread',
      // Not as an option: Stryker's runner sets the pool itself.
      configureVitest({ project, vitest }) {
        const pool = keptThread();
        Object.assign(project.config, { pool: pool.name, poolRunner: pool });
        vitest.onClose(() => pool.close());
      },
    },
  ],
  test: {
    include: [
      'test/protocol/envelope.test.ts',
      'test/{crypto,keys}/*.test.ts',
      'test/spec/sr1.test.ts',
      'test/layers/encrypt.test.ts',
    ],
    exclude: ['test/operations/rotation-under-load.test.ts'],
    testTimeout: 60_000,
  },
});

export default config;
