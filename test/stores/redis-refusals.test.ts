import type { AgentInputItem } from '@openai/agents';
import { createClient } from 'redis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openRedis } from '../../src/stores/redis.ts';
import type { RedisArgument } from '../../src/stores/redis/client.ts';
import { APPEND, CHANGE, DROP } from '../../src/stores/redis/scripts.ts';
import { deleteRedisKeys } from './cleaning.ts';
import { interposed, isScript } from './interposed.ts';
import { announce, uniqueName } from './servers.ts';
import { DEK_STORE } from '../../src/session-contract.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

const NOTHING = 'openRedis: the database user may not do this. Nothing was written. See the cause.';
const WRITTEN =
  'openRedis: the database user may not do this. The session itself was changed as requested, so do not repeat an ' +
  'append. Listings and purges may miss that until the next write to the session. See the cause.';
const UNKNOWN =
  'openRedis: the database user may not do this. The call may have been committed: read the history before you repeat it. ' +
  'See the cause.';

const { url, absent } = await announce('Redis', 'openRedis as a user who may not do everything');

describe.skipIf(absent)('openRedis as a user who may not do everything', () => {
  const prefix = uniqueName('refusals');
  const name = uniqueName('user');
  const admin = createClient({ url });
  const client = createClient({ url, username: name, password: 'secret' });
  const allow = (...rules: string[]) => admin.sendCommand(['ACL', 'SETUSER', name, ...rules]);
  const between = interposed((command) => client.withTypeMapping({ 36: Buffer }).sendCommand(command));
  const store = openRedis({ client: between }, { prefix });
  /** What the user may not do any more from the moment at which this is sent. */
  const refuseFrom = (match: (command: RedisArgument[]) => boolean, ...rules: string[]): void => {
    between.before(match, () => allow(...rules));
  };
  const all = openRedis(url, { prefix });
  const listed = async (): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of all.sessions()) ids.push(id);
    return ids;
  };

  beforeAll(async () => {
    await admin.connect();
    await allow('on', '>secret', '~*', '&*', '+@all');
    await client.connect();
  });
  beforeEach(() => allow('+@all'));
  afterAll(async () => {
    await Promise.all([store.close(), all.close(), client.close()]);
    await admin.sendCommand(['ACL', 'DELUSER', name]);
    await admin.close();
    await deleteRedisKeys(url, prefix);
  });

  test('an append whose session cannot be listed is not stored', async () => {
    await allow('-zadd');
    await expect(store.session('unlisted').addItems([message('never')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: NOTHING,
    });
    expect(await all.session('unlisted').getItems()).toEqual([]);
  });

  test('an append that was stored before the index was refused says so, and the next one is listed', async () => {
    const session = store.session('refused after');
    refuseFrom(isScript(APPEND), '-zadd');
    await expect(session.addItems([message('once')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: WRITTEN,
    });
    expect(await all.session('refused after').getItems()).toEqual([message('once')]);
    await admin.zRem(`${prefix}:ids`, 'refused after');
    await allow('+@all');
    await session.addItems([message('twice')]);
    expect(await listed()).toContain('refused after');
    expect(await all.session('refused after').getItems()).toEqual([message('once'), message('twice')]);
  });

  test('a change whose session cannot be listed is not made, and one that was made says so', async () => {
    await all.session('changed').addItems([message('before')]);
    const session = store.session('changed');
    await allow('-zadd');
    await expect(session.replaceHistoryWithCompaction([message('after')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: NOTHING,
    });
    expect(await session.getItems()).toEqual([message('before')]);
    await allow('+@all');
    refuseFrom(isScript(CHANGE), '-zadd');
    await expect(session.replaceHistoryWithCompaction([message('after')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: WRITTEN,
    });
    expect(await session.getItems()).toEqual([message('after')]);
  });

  test('a session that was deleted before the indexes were refused is not listed any more', async () => {
    await store.session('deleted').addItems([message('one')]);
    refuseFrom(isScript(DROP), '-zrem');
    await expect(store.deleteSession('deleted')).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: WRITTEN,
    });
    expect(await store.session('deleted').getItems()).toEqual([]);
    expect(await listed()).not.toContain('deleted');
  });

  test('a script that is refused one of its commands does not promise that nothing was written', async () => {
    await allow('-rpush');
    await expect(store.session('half').addItems([message('one')])).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: UNKNOWN,
    });
  });

  test('a data key that cannot be listed is not stored', async () => {
    const deks = store.session('keys')[DEK_STORE];
    const record = { sessionId: 'keys', did: 'd1', kid: 'k1', wrapped: 'w1', createdAt: 1 };
    await allow('-zadd');
    await expect(deks.put(record)).rejects.toMatchObject({ code: 'ERR_STORE', message: NOTHING });
    expect(await deks.get('keys', 'd1')).toBeUndefined();
  });

  test('a hold that was placed or released in part says so, and repeating the call completes it', async () => {
    const holds = store.session('held')[DEK_STORE].holds;
    const hold = { id: uniqueName('hold'), sessionId: 'held', reason: 'r', placedAt: 1 };
    await allow('-hset');
    await expect(holds?.place(hold)).rejects.toMatchObject({ code: 'ERR_STORE', message: UNKNOWN });
    await allow('+@all');
    expect(await holds?.place(hold)).toBe(false);
    await expect(store.deleteSession('held')).rejects.toMatchObject({ code: 'ERR_HELD' });
    await allow('-hdel');
    await expect(holds?.release(hold.id, 2)).rejects.toMatchObject({ code: 'ERR_STORE', message: UNKNOWN });
    await allow('+@all');
    expect(await holds?.release(hold.id, 3)).toMatchObject({ releasedAt: 2 });
    await store.deleteSession('held');
  });
});
