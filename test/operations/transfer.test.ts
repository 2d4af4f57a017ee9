import { DatabaseSync } from 'node:sqlite';
import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { branches } from '../../src/history/index.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { openPostgres } from '../../src/stores/postgres.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { reencrypt } from '../../src/operations/index.ts';
import { eraseSession, eraseSubject, returnedSessions } from '../../src/operations/retention.ts';
import { hold, release } from '../../src/operations/holds.ts';
import { transfer } from '../../src/operations/transfer.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { DEK_STORE, MAINTENANCE } from '../../src/session-contract.ts';
import { emptyPGlite } from '../stores/empty-pglite.ts';
import { temporaryFolder } from '../stores/folder.ts';

const path = temporaryFolder();

function messages(...texts: string[]): AgentInputItem[] {
  return texts.map((content) => ({ type: 'message', role: 'user', content }));
}

describe('transfer', () => {
  test('copies sealed sessions to another database, with data keys, subjects and holds, without a key to open them', async () => {
    const database = await emptyPGlite();
    await using from = openSqlite(':memory:');
    await using to = openPostgres({ pool: database });
    const layers = [encrypt({ keys: keyring({ current: await generateKey() }) })];
    const sealed = wrapStore(from, layers);
    await sealed.session('a', { subject: 'p1' }).addItems(messages('one', 'two'));
    await sealed.session('b').addItems(messages('shredded'));
    await from.session('b')[DEK_STORE].destroy('b');
    await from.session('plain').addItems(messages('three'));
    const hold = { id: 'h', sessionId: 'a', reason: 'case', placedAt: 1 };
    await from.session('a')[DEK_STORE].holds?.place(hold);

    const seen: string[] = [];
    const report = await transfer(from, to, { onProgress: ({ id }) => seen.push(id) });
    expect(report).toEqual({ sessions: 3, items: 3, shredded: 1, derived: {}, erased: [] });
    expect(seen).toEqual(['a', 'b', 'plain']);
    expect(await to.session('a').getItems()).toEqual(await from.session('a').getItems());
    expect(await wrapStore(to, layers).session('a').getItems()).toEqual(messages('one', 'two'));
    expect(await to.session('plain').getItems()).toEqual(messages('three'));
    await expect(to.deleteSession('a')).rejects.toMatchObject({ code: 'ERR_HELD' });
    const ofPerson: unknown[] = [];
    for await (const { id, firstAt, lastAt } of to.sessions({ subject: 'p1' }))
      ofPerson.push([id, firstAt, lastAt]);
    for await (const { id, firstAt, lastAt } of from.sessions({ subject: 'p1' })) {
      expect(ofPerson).toEqual([[id, firstAt, lastAt]]);
    }
    expect(ofPerson).toHaveLength(1);
    await database.close();
  }, 60_000);

  test('copies holds on sessions without items, so that later items are kept in the new database, too', async () => {
    await using from = openSqlite(':memory:');
    await using to = openSqlite(':memory:');
    const { holds } = from.session('empty')[DEK_STORE];
    await holds?.place({ id: 'open', sessionId: 'empty', reason: 'case', placedAt: 1 });
    await holds?.place({ id: 'over', sessionId: 'free', reason: 'case', placedAt: 1 });
    await holds?.release('over', 2);
    for (let time = 0; time < 2; time++) expect(await transfer(from, to)).toMatchObject({ sessions: 0 });
    for (const id of ['empty', 'free']) await to.session(id).addItems(messages('later'));
    await expect(to.session('empty').clearSession()).rejects.toMatchObject({ code: 'ERR_HELD' });
    await to.session('free').clearSession();
  });

  test('refuses a hold whose id the target has for another session or has released, before it copies a session', async () => {
    await using from = openSqlite(':memory:');
    await using to = openSqlite(':memory:');
    await from.session('a').addItems(messages('1'));
    await hold(from, { sessionId: 'a', id: 'case', reason: 'case 7' });
    await hold(to, { sessionId: 'b', id: 'case', reason: 'another' });
    const conflict = {
      code: 'ERR_CONFLICT',
      message: expect.stringMatching(
        /^transfer: the hold "case" on session "a" cannot be copied, .* another id/,
      ) as string,
    };
    await expect(transfer(from, to)).rejects.toMatchObject(conflict);
    expect(await to.session('a').getItems()).toEqual([]);
    await using other = openSqlite(':memory:');
    await transfer(from, other);
    await transfer(from, other);
    await release(other, 'case');
    await expect(transfer(from, other)).rejects.toMatchObject(conflict);
  });

  test('invalidates caches of the new store, also in mode owner, and accepts wrapped stores for both ends', async () => {
    await using from = openSqlite(':memory:');
    await using to = openSqlite(':memory:');
    const layers = [
      cache({ maxItems: 100, mode: 'owner' }),
      encrypt({ keys: keyring({ current: await generateKey() }) }),
    ];
    const [old, next] = [wrapStore(from, layers), wrapStore(to, layers)];
    await old.session('a').addItems(messages('one'));
    await transfer(old, next);
    expect(await next.session('a').getItems()).toEqual(messages('one'));
    await old.session('a').addItems(messages('two'));
    await transfer(old, next);
    expect(await next.session('a').getItems()).toEqual(messages('one', 'two'));
    expect(await transfer(next, next)).toEqual({
      sessions: 1,
      items: 0,
      shredded: 0,
      derived: {},
      erased: [],
    });
  });

  test('continues after an interruption, writes nothing twice, and refuses another session of the same id', async () => {
    await using from = openSqlite(':memory:');
    await using to = openSqlite(':memory:');
    for (const id of ['a', 'b', 'c']) await from.session(id).addItems(messages(`1 of ${id}`, `2 of ${id}`));
    const controller = new AbortController();
    const reason = new Error('enough');
    const cut = transfer(from, to, {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(cut).rejects.toBe(reason);
    await to.session('b').addItems(messages('1 of b'));
    expect(await transfer(from, to)).toEqual({ sessions: 3, items: 3, shredded: 0, derived: {}, erased: [] });
    expect(await transfer(from, to)).toEqual({ sessions: 3, items: 0, shredded: 0, derived: {}, erased: [] });
    for (const id of ['a', 'b', 'c']) {
      expect(await to.session(id).getItems()).toEqual(await from.session(id).getItems());
    }
    await to.session('c').addItems(messages('of its own'));
    await expect(transfer(from, to)).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message:
        'transfer: the target already has a different session "c". Delete it in the target, or exclude it from the transfer.',
    });
  });

  test('gives a branch records of its own when its conversation in the target was changed meanwhile', async () => {
    const file = path('changed.db');
    await using from = openSqlite(':memory:');
    await using to = openSqlite(file);
    await from.session('a').addItems(messages('one', 'two'));
    await (await branches(from, 'a').create('b')).addItems(messages('three'));
    const onProgress = ({ id }: { readonly id: string }): void => {
      if (id !== 'a') return;
      const database = new DatabaseSync(file);
      database.exec('UPDATE strongroom_items SET body = (SELECT max(body) FROM strongroom_items)');
      database.close();
    };
    await transfer(from, to, { onProgress });
    expect(await to.session('a').getItems()).toEqual(messages('two', 'two'));
    expect(await branches(to, 'a').session('b').getItems()).toEqual(messages('one', 'two', 'three'));
  });

  test('does not bring data keys of a conversation that was erased in the target for its branches', async () => {
    await using from = openSqlite(':memory:');
    await using to = openSqlite(':memory:');
    const layers = [encrypt({ keys: keyring({ current: await generateKey() }) })];
    const [old, next] = [wrapStore(from, layers), wrapStore(to, layers)];
    await old.session('a').addItems(messages('one'));
    await branches(old, 'a').create('b');
    await transfer(from, to);
    await eraseSession(next, 'a');
    // Its new data key has no tombstone in the target.
    await reencrypt(old.session('a'), { grace: 0 });
    expect(await transfer(from, to)).toMatchObject({ sessions: 0, items: 0 });
    for await (const key of to.session('a')[DEK_STORE].list({ sessionId: 'a' }))
      expect(key).toMatchObject({ destroyedAt: expect.any(Number) });
  });

  test.each([
    ['plain', false],
    ['sealed', true],
  ])('restores no branch of a conversation that was erased in the target (%s)', async (_how, isSealed) => {
    let now = 1_000;
    const clock = (): number => now;
    await using from = openSqlite(':memory:', { clock });
    await using to = openSqlite(':memory:', { clock });
    const keys = keyring({ current: await generateKey() });
    const layers = isSealed ? [expire({ after: '30d', clock, maxAhead: 'any' }), encrypt({ keys })] : [];
    const [old, next] = [wrapStore(from, layers), wrapStore(to, layers)];
    await old.session('a', { subject: 'person' }).addItems(messages('one'));
    await transfer(from, to);
    // The target never had it.
    await branches(old, 'a').create('b');
    now += 1;
    await eraseSubject(next, 'person');
    now += 1;
    await old.session('z').addItems(messages('of another'));
    await branches(old, 'a').create('empty', { items: 0 });
    await branches(old, 'a').session('empty').addItems(messages('later'));
    expect((await transfer(from, to)).erased).toEqual(
      expect.arrayContaining(['a', '~branch~b~a', '~branches~~a']),
    );
    expect(await next.session('z').getItems()).toEqual(messages('of another'));
    expect(await branches(next, 'a').session('b').getItems()).toEqual([]);
    expect(await branches(next, 'a').session('empty').getItems()).toEqual(messages('later'));
    // A restored backup of the records alone brings it back.
    const [record] = (await from[MAINTENANCE]?.records('a')) ?? [];
    await to[MAINTENANCE]?.append('~branch~b~a', [{ ...record!, did: null }]);
    const returned = [];
    for await (const { id } of returnedSessions(to)) returned.push(id);
    expect(returned).toEqual(['~branch~b~a']);
  });
});
