import { encrypt, expire, generateKey, keyring, wrapStore, type Store } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { projectWith, type Project } from './built-cli.ts';

/** Text that must not be in any output but that of `inspect --items` and `export`. */
export const CANARY = 'kiwi-harvest-4711';

/** The usual configuration over `conversations.db`, with the key in `key.json`. */
export const CONFIG = `
import { audit, encrypt, expire } from 'strongroom';
import { defineConfig } from 'strongroom/config';
import { openSqlite } from 'strongroom/sqlite';
import { appendFileSync } from 'node:fs';

export default defineConfig({
  store: () => openSqlite('conversations.db'),
  keys: { current: { file: 'key.json' } },
  layers: ({ keys }) => [
    audit({ sink: (event) => appendFileSync('audit.jsonl', JSON.stringify(event) + '\\n') }),
    expire({ after: '30d' }),
    encrypt({ keys }),
  ],
  retention: { expired: true },
});
`;

export interface FilledProject extends Project {
  /** The store of the configuration, opened by the test. */
  readonly store: Store;
  /** Closes the store of the test and opens it again. */
  readonly key: Awaited<ReturnType<typeof generateKey>>;
}

/** A project whose database has these sessions, each with so many items and with \`CANARY\` in each. */
export async function filledProject(
  sessions: Readonly<Record<string, number>>,
  { config = CONFIG, subject, now }: { config?: string; subject?: string; now?: number } = {},
): Promise<FilledProject> {
  const project = await projectWith(config);
  const key = await generateKey();
  await project.write('key.json', JSON.stringify(key));
  const clock = now === undefined ? undefined : (): number => now;
  const store = wrapStore(
    openSqlite(project.path('conversations.db'), clock === undefined ? {} : { clock }),
    [
      expire({ after: '30d', ...(clock !== undefined && { clock }) }),
      encrypt({ keys: keyring({ current: key }) }),
    ],
  );
  for (const [id, count] of Object.entries(sessions)) {
    const session = store.session(id, subject === undefined ? {} : { subject });
    const items = Array.from({ length: count }, (_, index) => ({
      type: 'message' as const,
      role: 'user' as const,
      content: `${CANARY} ${index}`,
    }));
    if (items.length > 0) await session.addItems(items);
  }
  return { ...project, store, key };
}
