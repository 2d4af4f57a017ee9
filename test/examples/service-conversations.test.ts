import { existsSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import type { Caller } from '../../examples/service/callers.ts';
import { openStore } from '../stores/open-store.ts';
import { deleteRedisKeys, dropPostgresSchema } from '../stores/cleaning.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { announce, uniqueName } from '../stores/servers.ts';
import { makeKeys, read, serviceOver } from './service-parts.ts';

const CONVERSATIONS = 200;
const what = 'conversations of the agent service';
const postgres = await announce('PostgreSQL', what);
const redis = await announce('Redis', what);
const pathOf = temporaryFolder();
const file = pathOf('conversations.db');
const name = uniqueName('service');

/** Names that no recognizer of `redact()` takes for personal data. */
const wordOf = (index: number): string => `kestrel-${String.fromCharCode(97 + (index % 26))}${index}z`;
/** Two tenants that have users of the same names, and several conversations of each user. */
const callerOf = (index: number): Caller => ({
  tenant: index % 2 === 0 ? 'acme' : 'globex',
  user: `user-${Math.floor(index / 2) % 20}`,
});

describe.each([
  { kind: 'SQLite', target: file, absent: false, clean: async () => undefined },
  {
    kind: 'PostgreSQL',
    target: postgres.url,
    absent: postgres.absent,
    clean: async () => dropPostgresSchema(postgres.url, name),
  },
  {
    kind: 'Redis',
    target: redis.url,
    absent: redis.absent,
    clean: async () => deleteRedisKeys(redis.url, name),
  },
])('the agent service on $kind', ({ kind, target, absent, clean }) => {
  afterAll(async () => absent || clean());

  it.skipIf(absent)(
    `answers ${CONVERSATIONS} two-turn conversations at once, each from its own first turn, and stores no word of them`,
    async () => {
      const store = openStore(target, name);
      const service = serviceOver(store, await makeKeys());
      const all = Array.from({ length: CONVERSATIONS }, async (_, index) => {
        const caller = callerOf(index);
        const stream = index % 3 === 0;
        const first = await read(await service.ask(caller, { input: `I say ${wordOf(index)}.`, stream }));
        const again = { session_id: first.id };
        const second = await read(
          await service.ask(caller, { input: 'What did I say?', stream, custom_inputs: again }),
        );
        return { first, second };
      });
      const answers = await Promise.all(all);

      expect(answers.map(({ first }) => first.text)).toEqual(answers.map(() => 'Noted.'));
      expect(answers.map(({ second }) => second.text)).toEqual(
        answers.map((_, index) => `You told me: I say ${wordOf(index)}.`),
      );
      expect(answers.every(({ first, second }) => first.id === second.id)).toBe(true);
      expect(new Set(answers.map(({ first }) => first.id)).size).toBe(CONVERSATIONS);

      const stored: string[] = [];
      for await (const { id, items } of store.sessions()) {
        expect(items).toBe(4);
        stored.push(JSON.stringify(await store.session(id).getItems()));
      }
      expect(stored).toHaveLength(CONVERSATIONS);
      expect(/kestrel|Noted|told me/.test(stored.join('\n'))).toBe(false);
      await store.close();
      const bytes = existsSync(target) ? readFileSync(target, 'latin1') : '';
      expect(bytes.includes('XC20P')).toBe(kind === 'SQLite');
      expect(/kestrel|Noted|told me/.test(bytes)).toBe(false);
    },
  );
});
