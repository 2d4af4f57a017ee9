import {
  Agent,
  run,
  tool,
  Usage,
  type AgentInputItem,
  type Session,
  type SessionHistoryRewriteAwareSession,
} from '@openai/agents';
import { assistantMessage, functionCall, modelResponse, ScriptedModel } from '@openai/agents/testing';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import {
  audit,
  authorize,
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  minimize,
  redact,
  wrapStore,
  type AuditEvent,
  type Layers,
} from '../../src/index.ts';
import { derivedId } from '../../src/derived-id.ts';
import {
  branches,
  page,
  recordUsage,
  sessionUsage,
  summarizeHistory,
  turns,
  undoTurn,
  type BranchStore,
} from '../../src/history/index.ts';
import { exclusive } from '../../src/layers/exclusive.ts';
import { observe } from '../../src/layers/observe.ts';
import { createVault } from '../../src/redaction/vault.ts';
import { hold, reencrypt, release, rewrap, shred } from '../../src/operations/index.ts';
import { eraseSubject, exportSubject, retention } from '../../src/operations/retention.ts';
import { transfer } from '../../src/operations/transfer.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import type { Store } from '../../src/stores/store.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { compressLong, headersTo, label } from '../support/custom-layers.ts';
import { assistant, call, result, system, user } from './support/random-history.ts';

const keys = fixedKeyring();
const DAY = 86_400_000;

const history: readonly AgentInputItem[] = [
  system('rules'),
  user('one'),
  assistant('first'),
  user('two, about Rome'),
  call('c'),
  result('c'),
  assistant('second'),
  user('three'),
];

let now = 0;
let store: Store<StoreSession>;

beforeEach(() => {
  now = 1_700_000_000_000;
  store = openSqlite(':memory:', { clock: () => now });
});

afterEach(async () => {
  await store.close();
});

const names = async (at: BranchStore): Promise<string[]> =>
  (await branches(at, 'chat').list()).map(({ name }) => name);

describe('a branch', () => {
  it.each([
    ['the end of the conversation', {}, 8],
    ['a number of turns that stay', { turns: 1 }, 3],
    ['a number of items, where no call is parted from its result', { items: 5 }, 4],
    ['a turn that is asked anew', { turn: 2 }, 3],
    ['the first turn', { turn: 1 }, 1],
    ['what the message of a turn contains', { content: 'ABOUT ROME' }, 3],
  ])('is made at %s', async (_what, point, count) => {
    const stack = wrapStore(store, [encrypt({ keys })]);
    await stack.session('chat').addItems([...history]);
    const tree = branches(stack, 'chat');
    const branch = await tree.create('retry', point);
    expect(await branch.getItems()).toEqual(history.slice(0, count));
    expect(tree.session('retry')).toBe(branch);
    expect(await stack.session('chat').getItems()).toEqual(history);
  });

  it('is not made where there is no such turn, content, source or place for its name; nothing is left then', async () => {
    await store.session('chat').addItems([...history]);
    const tree = branches(store, 'chat');
    for (const [name, options, message] of [
      ['x', { turn: 4 }, 'there is no turn 4, the branch that it is made from has 3'],
      ['x', { turn: 0 }, 'turn must be a whole number of at least 1'],
      ['x', { content: 'Paris' }, 'no message of a user contains the content that was given'],
      ['x', { turn: 1, items: 1 }, 'at most one of turns, items, turn and content'],
      ['x', { from: 'nowhere' }, 'there is no branch "nowhere"'],
      ['', {}, 'name must be a non-empty string without ~'],
      ['a~b', {}, 'name must be a non-empty string without ~'],
    ] as const) {
      await expect(tree.create(name, options)).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(message),
      });
    }
    expect(await names(store)).toEqual(['main']);
    await tree.create('x', { turns: 1 });
    for (const name of ['x', 'main']) {
      await expect(tree.create(name)).rejects.toMatchObject({
        code: 'ERR_CONFLICT',
        message: expect.stringContaining(`there is a branch "${name}" already`),
      });
    }
    expect(await tree.session('x').getItems()).toEqual(history.slice(0, 3));
  });

  it('needs a store of strongroom', () => {
    const own = { session: () => store.session('x'), deleteSession: async () => undefined };
    expect(() => branches(own, 'chat')).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }));
    expect(() => branches(store, '')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
  });

  it('is made from the current branch, or from one that is named, and lives on its own', async () => {
    await store.session('chat').addItems([...history]);
    const tree = branches(store, 'chat');
    const one = await tree.create('one', { turns: 1 });
    await one.addItems([user('another two')]);
    await tree.switch('one');
    const two = await tree.create('two');
    const three = await tree.create('three', { from: 'main', turns: 2 });
    expect(await two.getItems()).toEqual([...history.slice(0, 3), user('another two')]);
    expect(await three.getItems()).toEqual(history.slice(0, 7));
    await tree.delete('one', { force: true });
    await store.session('chat').clearSession();
    expect(await two.getItems()).toHaveLength(4);
    expect(await tree.current()).toBe('main');
    expect(await names(store)).toEqual(['main', 'two', 'three']);
  });
});

describe('list(), switch() and delete()', () => {
  it('list tells items, turns, time, origin and which is current, in the order in which they were made', async () => {
    const stack = wrapStore(store, [encrypt({ keys })]);
    await stack.session('chat').addItems([...history]);
    await stack.session('another chat').addItems([...history]);
    const tree = branches(stack, 'chat');
    await tree.create('z', { turn: 2 });
    now += 5;
    await tree.create('a', { from: 'z', turn: 1 });
    await tree.switch('z');
    expect(await tree.list()).toEqual([
      { name: 'main', current: false, items: 8, turns: 3 },
      { name: 'z', current: true, items: 3, turns: 1, created: now - 5, from: 'main' },
      { name: 'a', current: false, items: 1, turns: 0, created: now, from: 'z' },
    ]);
    expect(await branches(stack, 'another chat').list()).toHaveLength(1);
  });

  it('a branch without items is there, and a name is free again after its deletion', async () => {
    await store.session('chat').addItems([user('one')]);
    const tree = branches(store, 'chat');
    await tree.create('empty', { turn: 1 });
    expect(await tree.list()).toMatchObject([{ name: 'main' }, { name: 'empty', items: 0, turns: 0 }]);
    await tree.delete('empty');
    expect(await names(store)).toEqual(['main']);
    expect(await (await tree.create('empty')).getItems()).toEqual([user('one')]);
  });

  it('the current branch is deleted only by force, main never, and what is not there is said to be missing', async () => {
    await store.session('chat').addItems([...history]);
    const tree = branches(store, 'chat');
    await tree.create('retry');
    await tree.switch('retry');
    await expect(tree.delete('retry')).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('"retry" is the current branch'),
    });
    await expect(tree.delete('main')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    for (const attempt of [tree.delete('gone'), tree.switch('gone'), tree.compare('main', 'gone')]) {
      await expect(attempt).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining('there is no branch "gone"'),
      });
    }
    expect(await tree.current()).toBe('retry');
    await tree.delete('retry', { force: true });
    expect(await tree.current()).toBe('main');
    expect(await names(store)).toEqual(['main']);
  });

  it('a held branch is not deleted, stays current, and the conversation under a hold can be branched and switched', async () => {
    const stack = wrapStore(store, [encrypt({ keys })]);
    await stack.session('chat').addItems([...history]);
    const tree = branches(stack, 'chat');
    const branch = await tree.create('retry');
    await tree.switch('retry');
    const first = await hold(branch, { reason: 'case 1' });
    await expect(tree.delete('retry', { force: true })).rejects.toMatchObject({ code: 'ERR_HELD' });
    expect(await tree.list()).toMatchObject([{ name: 'main' }, { name: 'retry', current: true, items: 8 }]);
    await hold(stack.session('chat'), { reason: 'case 2' });
    for (let round = 0; round < 80; round++) await tree.switch(round % 2 === 0 ? 'main' : 'retry');
    await tree.create('another', { turns: 1 });
    expect(await names(stack)).toEqual(['main', 'retry', 'another']);
    await release(branch, first.id);
    await expect(tree.delete('retry', { force: true })).rejects.toMatchObject({ code: 'ERR_HELD' });
  });

  it('a hold on an empty branch also keeps the conversation', async () => {
    const stack = wrapStore(store, [encrypt({ keys })]);
    const empty = await branches(stack, 'chat').create('empty');
    const { id } = await hold(empty, { reason: 'case 1' });
    for (const each of [stack, store])
      await expect(each.deleteSession('chat')).rejects.toMatchObject({ code: 'ERR_HELD' });
    expect(await names(stack)).toEqual(['main', 'empty']);
    await release(empty, id);
    await stack.deleteSession('chat');
    expect(await names(stack)).toEqual(['main']);
  });

  it('keeps what is known of branches small, however often somebody switches', async () => {
    await store.session('chat').addItems([...history]);
    const tree = branches(store, 'chat');
    await tree.create('retry');
    for (let round = 0; round < 200; round++) await tree.switch(round % 2 === 0 ? 'retry' : 'main');
    await tree.switch('retry');
    const notes = store.session(derivedId({ kind: 'branches', of: 'chat' }), { derived: true });
    expect((await notes.getItems()).length).toBeLessThanOrEqual(64);
    expect(await tree.current()).toBe('retry');
    expect(await names(store)).toEqual(['main', 'retry']);
  });

  it('asks no other session of the store, however many there are', async () => {
    for (let other = 0; other < 300; other++) await store.session(`other ${other}`).addItems([user('x')]);
    await store.session('chat').addItems([...history]);
    const asked: string[] = [];
    const stack = wrapStore(store, [
      audit({ sink: ({ operation, sessionId }) => void asked.push(`${operation} ${sessionId}`) }),
    ]);
    const tree = branches(stack, 'chat');
    await tree.create('retry', { turns: 1 });
    asked.length = 0;
    expect(await tree.list()).toHaveLength(2);
    expect(asked).toEqual(['getItems chat', 'getItems ~branch~retry~chat']);
  });

  it('nobody comes to a branch that is being deleted, and its name is free when it is gone', async () => {
    const stack = wrapStore(store, [
      {
        name: 'meanwhile',
        around: async (call, next) => {
          if (call.kind === 'deleteSession') await meanwhile();
          return next();
        },
      },
    ]);
    await store.session('chat').addItems([...history]);
    const tree = branches(stack, 'chat');
    await tree.create('retry', { turns: 1 });
    await tree.switch('retry');
    const codes: unknown[] = [];
    const meanwhile = async (): Promise<void> => {
      expect(await tree.current()).toBe('main');
      for (const attempt of [tree.switch('retry'), tree.create('retry')])
        codes.push(await attempt.catch((error: unknown) => (error as { code: unknown }).code));
    };
    await tree.delete('retry', { force: true });
    expect(codes).toEqual(['ERR_INVALID_OPTION', 'ERR_CONFLICT']);
    expect(await (await tree.create('retry', { turns: 2 })).getItems()).toHaveLength(7);
  });

  it('finds branches of an earlier version, which can be switched to and deleted', async () => {
    const old = store.session(derivedId({ kind: 'branch', of: 'chat', name: 'old' }), { derived: true });
    await old.addItems([user('from before')]);
    await store.session('chat').addItems([user('one')]);
    const tree = branches(store, 'chat');
    expect(await tree.list()).toEqual([
      { name: 'main', current: true, items: 1, turns: 1 },
      { name: 'old', current: false, items: 1, turns: 1 },
    ]);
    await expect(tree.create('old')).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    await tree.switch('old');
    expect(await tree.follow().getItems()).toEqual([user('from before')]);
    await tree.switch('main');
    await tree.delete('old');
    expect(await names(store)).toEqual(['main']);
  });

  it('compare tells what two branches share, and what each has alone', async () => {
    const stack = wrapStore(store, [encrypt({ keys })]);
    await stack.session('chat').addItems([...history]);
    const tree = branches(stack, 'chat');
    const branch = await tree.create('retry', { turn: 3 });
    await branch.addItems([user('another three')]);
    expect(await tree.compare('main', 'retry')).toEqual({
      items: 7,
      turns: 2,
      first: [user('three')],
      second: [user('another three')],
    });
    expect(await tree.compare('retry', 'retry')).toEqual({ items: 8, turns: 3, first: [], second: [] });
  });
});

interface Living {
  readonly name: string;
  readonly layers: () => Layers;
  /** The policy under which a purge deletes, where records carry no expiry. */
  readonly after?: '30d';
}

const LIVES: readonly Living[] = [
  { name: 'no layers', layers: () => [], after: '30d' },
  { name: 'observers only', layers: () => [audit({ sink: () => undefined }), observe()], after: '30d' },
  { name: 'redact', layers: () => [redact()], after: '30d' },
  { name: 'encrypt', layers: () => [{ name: 'clock', clock: () => now }, encrypt({ keys })], after: '30d' },
  { name: 'expire', layers: () => [expire({ after: '30d', clock: () => now })] },
  {
    name: 'a codec and a label',
    layers: () => [compressLong(0), label(), expire({ after: '30d', clock: () => now })],
  },
  {
    name: 'the full stack',
    layers: () => [
      audit({ sink: () => undefined }),
      redact(),
      minimize({ reasoning: true }),
      expire({ after: '30d', clock: () => now }),
      cache({ maxItems: 1_000 }),
      exclusive(),
      encrypt({ keys, integrity: 'sequence', onIntegrity: () => 'throw' }),
    ],
  },
];

describe.each(LIVES)('nothing in a branch outlives its original, under $name', ({ name, layers, after }) => {
  const purged = async (): Promise<number> =>
    (await store.purgeExpired({ maxAhead: 'any', ...(after !== undefined && { after }) })).items;

  it('shared records are hidden and purged without a key in both histories at once, and purged once', async () => {
    const stack = wrapStore(store, layers());
    await stack.session('chat').addItems([user('one'), assistant('first')]);
    now += 10 * DAY;
    await stack.session('chat').addItems([user('two')]);
    now += 10 * DAY;
    const branch = await branches(stack, 'chat').create('retry');
    await branch.addItems([assistant('new')]);
    now += 10 * DAY - 1;
    expect(await branch.getItems()).toHaveLength(4);
    expect(await purged()).toBe(0);
    now += 1;
    const fresh = wrapStore(store, layers());
    const seen = branches(fresh, 'chat').session('retry');
    expect(await seen.getItems()).toHaveLength(after === undefined ? 2 : 4);
    expect(await purged()).toBe(2);
    expect(await seen.getItems()).toEqual([user('two'), assistant('new')]);
    expect(await fresh.session('chat').getItems()).toEqual([user('two')]);
    now += 10 * DAY;
    expect(await purged()).toBe(1);
    expect(await seen.getItems()).toEqual([assistant('new')]);
  });

  it('a summary keeps the birth of what it replaced', async () => {
    const stack = wrapStore(store, layers());
    const session = stack.session('chat');
    await session.addItems([
      user('one'),
      assistant('first'),
      user('two'),
      assistant('second'),
      user('three'),
    ]);
    now += 20 * DAY;
    await summarizeHistory(session, {
      summarize: () => 'what was said',
      trigger: { items: 1 },
      keep: { items: 1 },
    });
    const branch = await branches(stack, 'chat').create('retry');
    const shown = await branch.getItems();
    expect(shown).toEqual(await session.getItems());
    expect(JSON.stringify(shown)).toContain('what was said');
    now += 10 * DAY;
    await purged();
    // Under encrypt() alone nothing stamps a birth: a summary is as old as itself.
    expect(JSON.stringify(await branch.getItems()).includes('what was said')).toBe(name === 'encrypt');
    expect(await branch.getItems()).toEqual(await session.getItems());
  });
});

describe('under layers', () => {
  it('header fields of other layers are kept', async () => {
    const seen: unknown[] = [];
    const stack = wrapStore(store, [
      headersTo((headers) => seen.push(headers.map((header) => [header['x-by'], header.t, header.e]))),
      label('release 7'),
      expire({ after: '30d', clock: () => now }),
      encrypt({ keys }),
    ]);
    await stack.session('chat').addItems([user('one')]);
    const written = now;
    now += DAY;
    const branch = await branches(stack, 'chat').create('retry');
    seen.length = 0;
    await branch.getItems();
    expect(seen).toEqual([[['release 7', written, written + 30 * DAY]]]);
  });

  it('the values of tokens are in the vault of the branch, also when the conversation and its vault are gone', async () => {
    const vaultOf = (id: string): Session =>
      store.session(derivedId({ kind: 'vault', of: id }), { derived: true });
    const key = new Uint8Array(32).fill(7);
    const stack = wrapStore(store, [
      redact({ operators: { DEFAULT: { type: 'pseudonymize', key } }, vault: vaultOf }),
      encrypt({ keys }),
    ]);
    await stack.session('chat').addItems([user('write to ann@example.com'), assistant('done')]);
    const branch = await branches(stack, 'chat').create('retry');
    const text = JSON.stringify(await branch.getItems());
    expect(text).not.toContain('ann@example.com');
    await stack.session('chat').clearSession();
    const values = await createVault(vaultOf(await branch.getSessionId())).values();
    expect([...values.values()]).toEqual(['ann@example.com']);
    expect(text).toContain([...values.keys()][0]);
  });

  it('each step is a call of its session, and who may not make it leaves nothing', async () => {
    const events: AuditEvent[] = [];
    let refused = '';
    const stack = wrapStore(store, [
      authorize({ check: ({ kind, sessionId }) => `${kind} ${sessionId}` !== refused }),
      audit({ sink: (event) => void events.push(event) }),
      encrypt({ keys }),
    ]);
    await stack.session('chat').addItems([...history]);
    const tree = branches(stack, 'chat');
    const origin = { actor: 'ann', purpose: 'request 7' };
    for (refused of ['createBranch chat', 'createBranch ~branch~retry~chat']) {
      await expect(tree.create('retry', origin)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
      refused = '';
      expect(await names(stack)).toEqual(['main']);
    }
    events.length = 0;
    await tree.create('retry', { turns: 1, ...origin });
    refused = 'switchBranch chat';
    await expect(tree.switch('retry', origin)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    refused = 'deleteSession ~branch~retry~chat';
    await expect(tree.delete('retry', origin)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    refused = '';
    expect(await names(stack)).toEqual(['main', 'retry']);
    events.length = 0;
    await tree.switch('retry', origin);
    await tree.switch('main', origin);
    await tree.create('again', { turns: 1, ...origin });
    await tree.delete('retry', origin);
    expect(
      events.map(({ operation, sessionId, itemsOut, actor }) => [operation, sessionId, itemsOut, actor]),
    ).toEqual([
      ['switchBranch', 'chat', undefined, 'ann'],
      ['switchBranch', 'chat', undefined, 'ann'],
      ['createBranch', '~branch~again~chat', 3, 'ann'],
      ['createBranch', 'chat', 3, 'ann'],
      ['deleteSession', '~branch~retry~chat', undefined, 'ann'],
    ]);
    await expect(branches(store, 'chat').create('x', origin)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('actor is for authorize() and audit()'),
    });
  });

  it('records that cannot be opened are not left out of a branch in silence', async () => {
    const other = wrapStore(store, [encrypt({ keys: keyring({ current: await generateKey() }) })]);
    await other.session('chat').addItems([user('one'), user('two')]);
    const skipping = wrapStore(store, [encrypt({ keys, onUndecryptable: () => 'skip' })]);
    await skipping.session('chat').addItems([user('three')]);
    await expect(branches(skipping, 'chat').create('x', { turns: 1 })).rejects.toMatchObject({
      code: 'ERR_READ_ONLY',
      message: expect.stringContaining('could not be opened'),
    });
    expect(await names(skipping)).toEqual(['main']);
    // A whole history is shared unopened: what another key opens is there.
    const whole = await branches(skipping, 'chat').create('x');
    expect(await whole.getItems()).toEqual([user('three')]);
    expect(await store.session('~branch~x~chat', { derived: true }).getItems()).toHaveLength(3);
  });

  it('a stale cache is no source: what another process wrote or took off is seen', async () => {
    const layers = (): Layers => [cache({ maxItems: 100 }), encrypt({ keys })];
    const here = wrapStore(store, layers());
    const there = wrapStore(store, layers());
    await here.session('chat').addItems([...history]);
    await here.session('chat').getItems();
    await undoTurn(there.session('chat'), 2);
    await there.session('chat').addItems([user('something else')]);
    const branch = await branches(here, 'chat').create('retry');
    expect(await branch.getItems()).toEqual([...history.slice(0, 3), user('something else')]);
  });

  it('what a person gets of a conversation has its branches, and an erasure leaves nothing of them', async () => {
    const stack = wrapStore(store, [encrypt({ keys })]);
    await stack.session('chat', { subject: 'ann' }).addItems([...history]);
    const tree = branches(stack, 'chat');
    await tree.create('retry', { turns: 1 });
    await tree.switch('retry');
    const exported: string[] = [];
    for await (const { id, items } of exportSubject(stack, 'ann')) exported.push(`${id} ${items.length}`);
    expect(exported.toSorted()).toEqual(['chat 8', '~branch~retry~chat 3']);
    await eraseSubject(stack, 'ann');
    const left: string[] = [];
    for await (const { id } of store.sessions({ derived: 'all' })) left.push(id);
    expect(left).toEqual([]);
    expect(await tree.list()).toEqual([{ name: 'main', current: true, items: 0, turns: 0 }]);
  });

  it('names of branches outlast items that expired, until the conversation is silent for long enough', async () => {
    const stack = wrapStore(store, [expire({ after: '30d', clock: () => now }), encrypt({ keys })]);
    await stack.session('chat').addItems([...history]);
    const tree = branches(stack, 'chat');
    await tree.create('retry', { turns: 1 });
    now += 40 * DAY;
    await tree.switch('retry');
    await store.purgeExpired({ maxAhead: 'any' });
    expect(await tree.list()).toMatchObject([
      { name: 'main', items: 0 },
      { name: 'retry', items: 0, current: true },
    ]);
    const rules = retention(store, { maxIdle: '60d', maxAhead: 'any' });
    await rules.run();
    expect(await tree.current()).toBe('retry');
    now += 60 * DAY;
    await rules.run();
    expect(await names(stack)).toEqual(['main']);
    const left: string[] = [];
    for await (const { id } of store.sessions({ derived: 'all' })) left.push(id);
    expect(left).toEqual([]);
  });

  it('rewrap, reencrypt, shred and transfer reach branches', async () => {
    const [old, next] = [await generateKey(), await generateKey()];
    const before = wrapStore(store, [encrypt({ keys: keyring({ current: old }) })]);
    await before.session('chat').addItems([...history]);
    await branches(before, 'chat').create('retry', { turns: 1 });
    await branches(before, 'chat').switch('retry');
    const rotated = (): Store =>
      wrapStore(store, [encrypt({ keys: keyring({ current: next, previous: [old] }) })]);
    expect(await rewrap(rotated())).toMatchObject({ rewrapped: 1, failed: 0 });
    const stack = wrapStore(store, [encrypt({ keys: keyring({ current: next }) })]);
    expect(await reencrypt(stack, { grace: 0 })).toMatchObject({ sessions: 2, entries: 11 });
    await using target = openSqlite(':memory:');
    await transfer(store, target);
    const moved = branches(wrapStore(target, [encrypt({ keys: keyring({ current: next }) })]), 'chat');
    expect(await moved.list()).toMatchObject([
      { name: 'main', items: 8 },
      { name: 'retry', current: true, items: 3 },
    ]);
    const branch = branches(stack, 'chat').session('retry');
    await shred(branch);
    expect(await branch.getItems()).toEqual([]);
    expect(await stack.session('chat').getItems()).toEqual(history);
  });
});

describe('the session that follows', () => {
  const stackOf = (): Store => wrapStore(store, [exclusive(), cache({ maxItems: 100 }), encrypt({ keys })]);

  it('is one object, has what the conversation has, and goes where the current branch is', async () => {
    const stack = stackOf();
    const session = stack.session('chat');
    await session.addItems([...history]);
    const tree = branches(stack, 'chat');
    const follower = tree.follow();
    expect(branches(stack, 'chat').follow()).toBe(follower);
    expect(await follower.getSessionId()).toBe('chat');
    expect(await follower.getItems()).toEqual(history);
    await tree.create('retry', { turn: 2 });
    await branches(stackOf(), 'chat').switch('retry');
    await follower.addItems([user('another two')]);
    expect(await follower.getItems(2)).toEqual([assistant('first'), user('another two')]);
    expect(await follower.popItem()).toEqual(user('another two'));
    await undoTurn(follower);
    expect(await tree.session('retry').getItems()).toEqual([system('rules')]);
    expect(await session.getItems()).toEqual(history);
    await follower.clearSession();
    await tree.switch('main');
    expect(await follower.getItems()).toEqual(history);
  });

  it('makes mutations on the branch that is current, not on that of the last run', async () => {
    const stack = stackOf();
    const tree = branches(stack, 'chat');
    await stack.session('chat').addItems([...history]);
    await tree.create('retry');
    const session = tree.follow();
    const agent = new Agent({ name: 'agent', model: new ScriptedModel([[assistantMessage('on main')]]) });
    await run(agent, 'four', { session });
    await tree.switch('retry');
    const changed = { ...call('c'), arguments: '{"changed":true}' } as Extract<
      AgentInputItem,
      { type: 'function_call' }
    >;
    await (session as unknown as SessionHistoryRewriteAwareSession).applyHistoryMutations({
      mutations: [{ type: 'replace_function_call', callId: 'c', replacement: changed }],
    });
    expect(await tree.session('retry').getItems()).toContainEqual(changed);
    expect(await tree.session('main').getItems()).not.toContainEqual(changed);
  });

  it('keeps a run on the branch on which it began, whoever switches meanwhile', async () => {
    const stack = stackOf();
    const tree = branches(stack, 'chat');
    await stack.session('chat').addItems([user('zero'), assistant('nil')]);
    await tree.create('retry');
    const turn = tool({
      name: 'switch_branch',
      description: 'Another process switches.',
      parameters: { type: 'object', properties: {}, required: [], additionalProperties: true } as const,
      strict: false,
      execute: async () => {
        await branches(stackOf(), 'chat').switch('retry');
        return 'switched';
      },
    });
    const model = new ScriptedModel([
      [functionCall('switch_branch', {}, { callId: 'c' })],
      [assistantMessage('on main')],
      [assistantMessage('on retry')],
    ]);
    const agent = new Agent({ name: 'agent', model, tools: [turn] });
    const session = tree.follow();
    await run(agent, 'one', { session });
    await run(agent, 'two', { session });
    const texts = async (name: string): Promise<string> =>
      JSON.stringify(await tree.session(name).getItems());
    expect(await texts('main')).toContain('on main');
    expect(await texts('main')).not.toContain('on retry');
    expect(await texts('retry')).toContain('on retry');
    expect(await texts('retry')).not.toContain('on main');
  });

  it('is read by page() and turns(), and its usage is booked on the branch of the run', async () => {
    const stack = stackOf();
    await stack.session('chat').addItems([...history]);
    const tree = branches(stack, 'chat');
    await tree.create('retry', { turn: 2 });
    await tree.switch('retry');
    const session = tree.follow();
    const response = modelResponse({
      output: [assistantMessage('an answer')],
      usage: new Usage({ requests: 1, inputTokens: 10, outputTokens: 5, totalTokens: 15 }),
    });
    const agent = new Agent({ name: 'agent', model: new ScriptedModel([response]) });
    const done = await run(agent, 'two again', { session });
    expect(await turns(session)).toMatchObject([{ firstLine: 'one' }, { firstLine: 'two again', items: 2 }]);
    expect((await page(session, { limit: 2 })).items).toHaveLength(2);
    await tree.switch('main');
    await recordUsage(session, done);
    expect(await sessionUsage(session)).toMatchObject({ runs: 1, branches: { retry: { totalTokens: 15 } } });
    expect(await turns(session)).toHaveLength(3);
  });

  it('a run whose branch was deleted writes nothing', async () => {
    const stack = stackOf();
    const tree = branches(stack, 'chat');
    await stack.session('chat').addItems([user('zero')]);
    await tree.create('retry');
    await tree.switch('retry');
    const remove = tool({
      name: 'remove',
      description: 'Another process deletes the branch.',
      parameters: { type: 'object', properties: {}, required: [], additionalProperties: true } as const,
      strict: false,
      execute: async () => {
        await branches(stackOf(), 'chat').delete('retry', { force: true });
        return 'deleted';
      },
    });
    const model = new ScriptedModel([
      [functionCall('remove', {}, { callId: 'c' })],
      [assistantMessage('too late')],
    ]);
    const agent = new Agent({ name: 'agent', model, tools: [remove] });
    await expect(run(agent, 'one', { session: tree.follow() })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('the branch "retry" was deleted while a run was on it'),
      written: 'no',
    });
    expect(await tree.list()).toMatchObject([{ name: 'main', current: true, items: 1 }]);
    expect(await tree.session('retry').getItems()).toEqual([]);
  });
});

test('of all that make one name at once, one makes it; of all that switch at once, the last one counts', async () => {
  const stack = wrapStore(store, [encrypt({ keys })]);
  await stack.session('chat').addItems([...history]);
  const trees = Array.from({ length: 6 }, () => branches(wrapStore(store, [encrypt({ keys })]), 'chat'));
  const outcomes = await Promise.allSettled(
    trees.map(async (tree, index) => tree.create('retry', { items: index })),
  );
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const reasons = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
  );
  expect(reasons).toMatchObject(reasons.map(() => ({ code: 'ERR_CONFLICT', written: 'no' })));
  await Promise.all(trees.map(async (tree, index) => tree.create(`b${index}`, { items: 1 })));
  await Promise.all(trees.map(async (tree, index) => tree.switch(`b${index}`)));
  const current = await Promise.all(trees.map(async (tree) => tree.current()));
  expect(new Set(current).size).toBe(1);
  expect(current[0]).toMatch(/^b\d$/);
});
