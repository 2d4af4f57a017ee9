import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { loadKey } from '../../config/key-reference.ts';
import { generateKey } from '../../keys/generate-key.ts';
import { keyring } from '../../keys/keyring.ts';
import type { Define } from '../command.ts';
import { CommandError } from '../exit-codes.ts';
import { isCommonJs } from '../is-common-js.ts';
import { NAMES } from '../load-config.ts';
import { newFile } from '../new-file.ts';
import { writeKeys } from './keygen.ts';

interface InitFlags {
  readonly store: string;
  readonly mjs?: true;
}

/** How each store is opened, and the `import` that it needs. */
const STORES: Readonly<
  Record<string, { readonly open: string; readonly from: string; readonly name: string }>
> = {
  sqlite: { open: `openSqlite('conversations.db')`, name: 'openSqlite', from: 'strongroom/sqlite' },
  postgres: {
    open: `openPostgres(process.env.DATABASE_URL ?? '')`,
    name: 'openPostgres',
    from: 'strongroom/postgres',
  },
  mysql: { open: `openMysql(process.env.DATABASE_URL ?? '')`, name: 'openMysql', from: 'strongroom/mysql' },
  redis: { open: `openRedis(process.env.REDIS_URL ?? '')`, name: 'openRedis', from: 'strongroom/redis' },
};

const KEY_FILE = 'strongroom.key.json';

export function registerInit(define: Define): void {
  define(
    'init',
    'write a configuration and a key into this folder',
    async ({ output }, { store, mjs }: InitFlags) => {
      const how = Object.hasOwn(STORES, store) ? STORES[store] : undefined;
      if (how === undefined) {
        throw new CommandError('USAGE', `init: --store must be one of ${Object.keys(STORES).join(', ')}.`);
      }
      const isModule = mjs === true || !process.features.typescript || isCommonJs(process.cwd());
      const file = isModule ? 'strongroom.config.mjs' : 'strongroom.config.ts';
      // The command line reads the first of these names: another one would win, or lose, without a word.
      const existing = NAMES.find((name) => existsSync(name));
      if (existing !== undefined)
        throw new CommandError('USAGE', `init: ${existing} exists, and is left as it is.`);
      ignore(KEY_FILE);
      if (!existsSync(KEY_FILE)) writeKeys([{ file: KEY_FILE, key: await generateKey(), mode: 0o600 }]);
      // One that is there must be a key that can be used.
      keyring({ current: loadKey({ file: KEY_FILE }) });
      newFile(file, 0o666).write(configOf(how));
      output.line('init', { config: file, key: KEY_FILE }, `Wrote ${file} and the key ${KEY_FILE}.`);
      output.hint(
        `Import ${file} in the application: const sessions = config.open();\n` +
          `Keep a copy of ${KEY_FILE} in a secret store, and never in the repository. Next: strongroom doctor.`,
      );
    },
    { configured: false },
  )
    .option('--store <name>', Object.keys(STORES).join(', '), 'sqlite')
    .option(
      '--mjs',
      'strongroom.config.mjs; written anyway by Node.js before 22.18, and where package.json has "type": "commonjs"',
    );
}

function configOf({ open, name, from }: (typeof STORES)[string]): string {
  return `import { cache, complianceRunConfig, encrypt, expire, redact } from 'strongroom';
import { defineConfig } from 'strongroom/config';
import { ${name} } from '${from}';

/** For the application (\`config.open()\`, \`new Runner(config.run)\`) and for the command line. */
export default defineConfig({
  store: () => ${open},
  keys: { current: { file: new URL('${KEY_FILE}', import.meta.url) } },
  // Outermost first: as the data travels from run() to the database.
  layers: ({ keys }) => [redact(), expire({ after: '30d' }), cache({ maxItems: 50_000 }), encrypt({ keys })],
  retention: { expired: true },
  run: complianceRunConfig(),
});
`;
}

/** So that the key cannot be committed by accident, also where the folder becomes one of git later. */
function ignore(name: string): void {
  const known = existsSync('.gitignore') ? readFileSync('.gitignore', 'utf8') : '';
  if (known.split('\n').includes(name)) return;
  appendFileSync('.gitignore', `${known === '' || known.endsWith('\n') ? '' : '\n'}${name}\n`);
}
