import { defineConfig, type ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // No test is decided by time: this only ends one that hangs.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Much of the work waits for servers and processes: one worker less than cores leaves half of two cores idle.
    maxWorkers: '100%',
    // The whole project is checked by `npm run typecheck`.
    typecheck: {
      enabled: true,
      include: ['test/types/**/*.test-d.ts'],
      tsconfig: 'test/types/tsconfig.json',
    },
  },
});

export default config;
