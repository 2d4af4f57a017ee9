import { cache, complianceRunConfig, encrypt, expire, redact } from 'strongroom';
import { defineConfig, type Config } from 'strongroom/config';
import { openSqlite } from 'strongroom/sqlite';

/** For the application (`config.open()`, `new Runner(config.run)`) and for the command line. */
const config: Config = defineConfig({
  store: () => openSqlite('conversations.db'),
  keys: { current: { env: 'STRONGROOM_KEY' } },
  // Outermost first: as the data travels from run() to the database.
  layers: ({ keys }) => [redact(), expire({ after: '30d' }), cache({ maxItems: 50_000 }), encrypt({ keys })],
  retention: { expired: true, maxIdle: '90d' },
  run: complianceRunConfig(),
});

export default config;
