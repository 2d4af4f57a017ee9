import type { AgentInputItem } from '@openai/agents';
import { afterAll, describe, expect, test } from 'vitest';
import { derivedId } from '../../src/derived-id.ts';
import { branches } from '../../src/history/index.ts';
import { wrapStore, type SessionLayer } from '../../src/index.ts';
import { hold, release } from '../../src/operations/holds.ts';
import { retention, type RetentionOptions } from '../../src/operations/retention.ts';
import { MAINTENANCE } from '../../src/session-contract.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock, type FakeClock } from '../../src/testing/fake-clock.ts';
import { everyStore } from '../stores/every-store.ts';
import { uniqueName } from '../stores/servers.ts';

// What retention() does with a conversation and all that belongs to it, while people write and when the process dies.

function messages(...texts: string[]): AgentInputItem[] {
  return texts.map((content) => ({ type: 'message', role: 'user', content }));
}

const CONTINUED = 'I am back';

/** The ids of a conversation with two branches, a vault of each, data keys and a ledger. */
function treeOf(root: string) {
  const branch = (name: string): string => derivedId({ kind: 'branch', of: root, name });
  const vault = (of: string): string => derivedId({ kind: 'vault', of });
  return { root, x: branch('x'), y: branch('y'), vault, keys: derivedId({ kind: 'keys', of: root }) };
}

async function write(store: Store<StoreSession>, id: string, ...texts: string[]): Promise<void> {
  await store.session(id, { derived: true }).addItems(messages(...texts));
}

async function textsOf(store: Store<StoreSession>, id: string): Promise<unknown[]> {
  const items = await store.session(id, { derived: true }).getItems();
  return items.map((item) => (item as { content?: unknown }).content);
}

/** The ids with items that belong to one of the conversations. */
async function idsOf(store: Store<StoreSession>, ...roots: string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const { id, root = id } of store.sessions({ derived: 'all' })) {
    if (roots.includes(root)) found.push(id);
  }
  return found.toSorted();
}

async function make(store: Store<StoreSession>, root: string): Promise<ReturnType<typeof treeOf>> {
  const tree = treeOf(root);
  await write(store, root, 'one');
  await branches(store, root).create('x');
  await branches(store, root).create('y');
  await write(store, tree.x, 'two');
  for (const id of [root, tree.x, tree.y]) await write(store, tree.vault(id), 'value');
  await write(store, tree.keys, 'key');
  return tree;
}

/** The store, with work before (or after) the call of this number in which a session is deleted. */
function interrupted(
  store: Store<StoreSession>,
  at: number,
  when: 'before' | 'after',
  work: () => Promise<void>,
) {
  const seen = { calls: 0 };
  const layer: SessionLayer = {
    name: 'interruption',
    async around(call, next) {
      if (call.sessionId === '') return next();
      const isNow = seen.calls++ === at;
      if (isNow && when === 'before') await work();
      const result = await next();
      if (isNow && when === 'after') await work();
      return result;
    },
  };
  return { seen, store: wrapStore(store, [layer]) };
}

const AHEAD = { maxAhead: 'any' } as const;

describe.each(await everyStore('retention of conversations with what belongs to them'))(
  'retention in $name',
  ({ absent, open, clean }) => {
    afterAll(clean);

    async function using(
      work: (store: Store<StoreSession>, clock: FakeClock) => Promise<void>,
    ): Promise<void> {
      const clock = fakeClock();
      await using store = open(clock);
      await work(store, clock);
    }

    test.skipIf(absent)('by inactivity never deletes what somebody writes during the run', async () => {
      await using(async (store, clock) => {
        const wheres = ['root', 'x', 'y'] as const;
        for (const where of wheres) {
          for (let at = 0, calls = 1; at < calls; at++) {
            const tree = await make(store, uniqueName('raced'));
            const id = tree[where];
            clock.advance('31d');
            const before = { texts: [] as unknown[], vault: [] as unknown[] };
            const run = interrupted(store, at, 'before', async () => {
              before.texts = await textsOf(store, id);
              before.vault = await textsOf(store, tree.vault(id));
              await write(store, id, CONTINUED);
            });
            await retention(run.store, { maxIdle: '30d', ...AHEAD }).run();
            calls = run.seen.calls;
            expect(calls, 'calls of the run').toBeGreaterThan(0);
            const found = { texts: await textsOf(store, id), vault: await textsOf(store, tree.vault(id)) };
            // Whatever was there at that moment, with the values behind its tokens, and the new message.
            const expected = { texts: [...before.texts, CONTINUED], vault: before.vault };
            expect(found, `${where}, before call ${at}`).toEqual(
              before.texts.length > 0 ? expected : { ...found, texts: [CONTINUED] },
            );
            await store.deleteSession(tree.root);
          }
        }
      });
    });

    test.skipIf(absent)('of a conversation with a new message in a branch deletes nothing', async () => {
      await using(async (store, clock) => {
        const other = uniqueName('a');
        await write(store, other, 'silent');
        const tree = await make(store, uniqueName('b'));
        clock.advance('31d');
        const all = await idsOf(store, tree.root);
        const run = interrupted(store, 0, 'after', () => write(store, tree.x, CONTINUED));
        const { deleted } = await retention(run.store, { maxIdle: '30d', ...AHEAD }).run();
        expect(deleted).toEqual([other]);
        expect(await idsOf(store, tree.root)).toEqual(all);
        await store.deleteSession(tree.root);
      });
    });

    const RULES: readonly RetentionOptions[] = [{ maxAge: '30d' }, { maxIdle: '30d' }];
    test.skipIf(absent).each(RULES)('finishes with %o what a run that died has begun', async (rule) => {
      await using(async (store, clock) => {
        class Died extends Error {}
        const die = (): Promise<void> => Promise.reject(new Died('died'));
        for (const when of ['before', 'after'] as const) {
          for (let at = 0, calls = 1; at < calls; at++) {
            const tree = await make(store, uniqueName('died'));
            clock.advance(rule.maxAge === undefined ? '40d' : '20d');
            // A value that is younger than its conversation.
            if (rule.maxAge !== undefined) await write(store, tree.vault(tree.root), 'later value');
            clock.advance('11d');
            if (rule.maxAge === undefined) clock.advance('30d');
            calls = (await idsOf(store, tree.root)).length;
            const run = interrupted(store, at, when, die);
            const first = retention(run.store, { ...rule, ...AHEAD }).run();
            await expect(first).rejects.toThrow(Died);
            await retention(store, { ...rule, ...AHEAD }).run();
            expect(await idsOf(store, tree.root), `died ${when} call ${at}`).toEqual([]);
          }
        }
      });
    });

    test.skipIf(absent)('by age deletes what is left of a conversation that is gone', async () => {
      await using(async (store, clock) => {
        const tree = await make(store, uniqueName('left'));
        const archive = derivedId({ kind: 'archive', of: tree.root });
        await write(store, archive, 'archived');
        clock.advance('20d');
        await write(store, tree.y, 'still used');
        for (const id of [tree.root, tree.x]) await store[MAINTENANCE]?.drop(id);
        // What y shares of its conversation is its own now, and new records take its place.
        await store.session(tree.y, { derived: true }).clearSession();
        await write(store, tree.y, 'still used');
        clock.advance('15d');
        const rules = retention(store, { maxAge: '30d', ...AHEAD });
        expect((await rules.run()).deleted).toEqual([archive]);
        const register = derivedId({ kind: 'branches', of: tree.root });
        const needed = [register, tree.keys, ...[tree.root, tree.x, tree.y].map(tree.vault)];
        expect(await idsOf(store, tree.root)).toEqual([...needed, tree.y].toSorted());
        clock.advance('16d');
        const { deleted, derived } = await rules.run();
        expect(deleted.toSorted()).toEqual(
          [register, tree.keys, tree.vault(tree.root), tree.vault(tree.x), tree.y].toSorted(),
        );
        expect(derived).toEqual({ vault: 1 });
        expect(await idsOf(store, tree.root)).toEqual([]);
      });
    });

    test.skipIf(absent).each(RULES)(
      'with %o keeps everything of a conversation under a hold, also when it is gone itself',
      async (rule) => {
        await using(async (store, clock) => {
          const whole = await make(store, uniqueName('held'));
          const gone = await make(store, uniqueName('held'));
          await store[MAINTENANCE]?.drop(gone.root);
          const holds = [];
          for (const { x } of [whole, gone]) {
            holds.push(await hold(store, { sessionId: x, reason: 'case 7' }));
          }
          clock.advance('99d');
          const all = await idsOf(store, whole.root, gone.root);
          const rules = retention(store, { ...rule, ...AHEAD });
          const dry = await rules.run({ dryRun: true });
          expect(dry).toMatchObject({ deleted: [], derived: {} });
          expect(dry.held).toEqual(expect.arrayContaining([whole.root, gone.x, gone.y]));
          expect(await rules.run()).toEqual({ ...dry, dryRun: false });
          expect(await idsOf(store, whole.root, gone.root)).toEqual(all);
          for (const { id } of holds) await release(store, id);
          await rules.run();
          expect(await idsOf(store, whole.root, gone.root)).toEqual([]);
        });
      },
    );
  },
);
