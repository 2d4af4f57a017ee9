import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { configDefaults, defineConfig, type ViteUserConfig } from 'vitest/config';

// Each worker and each process that a test starts loads the SDK: with what the others compiled, in half the time.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'node-compile-cache');

const ALL = ['test/**/*.test.ts'];
/** Of `test/stores`: what starts, kills or measures, or sees what is said once in a process. */
const ALONE =
  'back-in-time|branches|chaos|connection-limit|crash|deletion|disk|event-loop*|failover*|mysql-shared-pool|network|' +
  'pooler|purge|push|redis-cluster*|redis-eviction|schema|settings|shared-records|shared-timer';
/** They change nothing that another file could meet, so they share a process and what it has loaded: half of their time. */
const SHARING = [
  'test/*.test.ts',
  // memory.test.ts reads what all wrappers of its process remember, work-of-a-call.test.ts counts all promises of its process,
  // trim-long.test.ts collects all garbage of its process fifty times.
  'test/engine/!(memory).test.ts',
  'test/layers/!(work-of-a-call).test.ts',
  'test/history/!(trim-long).test.ts',
  `test/stores/!(${ALONE}).test.ts`,
  'test/{cli,config,contract,crypto,keys,kms,laws,operations,package,protocol,redaction,report,spec,testing}/*.test.ts',
];

const config: ViteUserConfig = defineConfig({
  // Examples import `strongroom` by its name; tests of them, too, meet the sources and not a stale `dist`.
  ssr: { resolve: { conditions: ['strongroom-source', 'node', 'development|production'] } },
  test: {
    // No test is decided by time: this only ends one that hangs.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Much of the work waits for servers and processes: as many workers as cores would leave a part of them idle.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    // A file of PGlite ends before its WebAssembly would be faster for having been optimized.
    execArgv: ['--liftoff-only'],
    setupFiles: ['test/support/compile-cache.ts', 'test/support/redis-classes.ts'],
    globalSetup: 'test/support/templates-folder.ts',
    projects: [
      { extends: true, test: { name: 'sharing', include: SHARING, isolate: false } },
      {
        extends: true,
        test: {
          name: 'alone',
          include: ALL,
          exclude: [...configDefaults.exclude, ...SHARING],
          // The whole project is checked by `npm run typecheck`.
          typecheck: {
            enabled: true,
            include: ['test/types/**/*.test-d.ts'],
            tsconfig: 'test/types/tsconfig.json',
          },
        },
      },
    ],
  },
});

export default config;
