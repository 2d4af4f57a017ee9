import type { AgentInputItem } from '@openai/agents';
import { describe, expect, it } from 'vitest';
import { expire, wrapStore } from '../../src/index.ts';
import { historyDigest } from '../../src/protocol/digest.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';

const user = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const summary: AgentInputItem = { type: 'message', role: 'system', content: 'what was said' };

describe('replacePrefix through a stack', () => {
  it('replaces the oldest items and archives them, with their expiry, once', async () => {
    let now = 1_000;
    const store = openSqlite(':memory:');
    const sessions = wrapStore(store, [expire({ after: 1_000, clock: () => now })]);
    const session = sessions.session('live');
    const archive = sessions.session('archive');
    await session.addItems([user('a'), user('b')]);
    now = 1_500;
    await session.addItems([user('c')]);
    const args = {
      count: 2,
      digest: historyDigest([user('a'), user('b')]),
      replacement: [summary],
      operationId: 'op',
      archiveTo: archive,
    };
    await session.replacePrefix(args);
    await session.replacePrefix(args);
    expect(await session.getItems()).toEqual([summary, user('c')]);
    expect(await archive.getItems()).toEqual([user('a'), user('b')]);
    now = 2_000;
    expect(await session.getItems()).toEqual([user('c')]);
    expect(await archive.getItems()).toEqual([]);
    await store.close();
  });

  it('refuses a prefix that is not the expected one, and changes nothing', async () => {
    const store = openSqlite(':memory:');
    const session = wrapStore(store, [expire({ after: '1d' })]).session('live');
    await session.addItems([user('a'), user('b')]);
    await expect(
      session.replacePrefix({
        count: 1,
        digest: historyDigest([user('x')]),
        replacement: [summary],
        operationId: 'op',
      }),
    ).rejects.toMatchObject({ code: 'ERR_CONFLICT', message: /1 oldest items are not those/ });
    expect(await session.getItems()).toEqual([user('a'), user('b')]);
    await store.close();
  });
});
