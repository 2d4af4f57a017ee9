import { encrypt, expire, generateKey, keyring, wrapStore, type Store } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { projectWith, type Finished, type Project } from './built-cli.ts';

/** Text that must not be in any output but that of `inspect --items` and `export`. */
export const CANARY = 'kiwi-harvest-4711';

/** What a configuration of a test differs in. */
export interface ConfigParts {
  readonly keys?: string;
  readonly layers?: string;
  readonly rest?: string;
}

/**
 * The usual configuration over `conversations.db`, with the key in `key.json`, an audit log in `audit.jsonl`, and a layer that ends the
 * process with the signal `END_BY` at the call number `END_AT` of the kind `END_KIND`: a crash in the middle that does not depend on time.
 */
export function configOf({
  keys = `{ current: { file: 'key.json' } }`,
  layers = `expire({ after: '30d' }), encrypt({ keys })`,
  rest = `retention: { expired: true },`,
}: ConfigParts = {}): string {
  return `
import { audit, encrypt, expire, redact, wrapStore } from 'strongroom';
import { defineConfig } from 'strongroom/config';
import { openSqlite } from 'strongroom/sqlite';
import { appendFileSync } from 'node:fs';

const { END_BY, END_AT, END_KIND } = process.env;
let calls = 0;
const ending = {
  name: 'ending',
  async around(call, next) {
    if (call.kind === END_KIND && call.sessionId !== '' && ++calls === Number(END_AT)) {
      process.kill(process.pid, END_BY);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return next();
  },
};

export default defineConfig({
  store: () => openSqlite(process.env.DATABASE ?? 'conversations.db'),
  keys: ${keys},
  layers: ({ keys }) => [
    audit({ sink: (event) => appendFileSync('audit.jsonl', JSON.stringify(event) + '\\n') }),
    ending,
    ${layers},
  ],
  ${rest}
});
`;
}

export interface FilledProject extends Project {
  /** The store of the configuration, opened by the test under the same layers. */
  readonly store: Store;
  readonly key: Awaited<ReturnType<typeof generateKey>>;
}

export interface FilledOptions extends ConfigParts {
  readonly subject?: string;
  /** When the items are written, in Unix milliseconds. Default: now. */
  readonly at?: number;
  /** Default: a new symmetric key. */
  readonly key?: FilledProject['key'];
}

/** A project whose database has these sessions, each with so many items, and `CANARY` in each item. */
export async function filledProject(
  sessions: Readonly<Record<string, number>>,
  { subject, at, key: given, ...parts }: FilledOptions = {},
): Promise<FilledProject> {
  const project = await projectWith(configOf(parts));
  const key = given ?? (await generateKey());
  await project.write('key.json', JSON.stringify(key));
  const clock = { ...(at !== undefined && { clock: () => at }) };
  const layers = [expire({ after: '30d', ...clock }), encrypt({ keys: keyring({ current: key }) })];
  const store = wrapStore(openSqlite(project.path('conversations.db'), clock), layers);
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

/** `count` sessions with `items` each, for {@link filledProject}. */
export function manySessions(count: number, items: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`session-${index}`, items]));
}

/** Runs a command that is ended at this call, and then the same command to its end. */
export async function endedAndRepeated(
  project: Project,
  args: readonly string[],
  how: { readonly kind: string; readonly at: number; readonly by: 'SIGKILL' | 'SIGINT' },
): Promise<{ readonly ended: Finished; readonly repeated: Finished }> {
  const env = { END_KIND: how.kind, END_AT: String(how.at), END_BY: how.by };
  const ended = await project.run(args, { env });
  return { ended, repeated: await project.run(args) };
}
