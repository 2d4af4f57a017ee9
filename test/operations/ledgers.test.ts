import type { Session } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JWK } from 'jose';
import { recordUsage, sessionUsage } from '../../src/history/index.ts';
import { encrypt, expire, generateKey, keyring, wrapStore, type EncryptOptions } from '../../src/index.ts';
import {
  destroyKey,
  exportSession,
  importSession,
  migrate,
  reencrypt,
  rewrap,
  verifySessions,
} from '../../src/operations/index.ts';
import { failure, coded } from '../crypto/failure.ts';
import { user } from '../history/support/random-history.ts';
import { everyStore } from '../stores/every-store.ts';
import { uniqueName } from '../stores/servers.ts';

const stores = await everyStore('operations over ledgers of usage');
let old: JWK;
let next: JWK;
beforeAll(async () => {
  old = await generateKey();
  next = await generateKey();
});

const usage = { requests: 1, inputTokens: 7, outputTokens: 1, totalTokens: 8 };
const record = (session: Session): Promise<void> =>
  recordUsage(session, { state: { usage }, rawResponses: [{ usage, output: [] }], newItems: [] });

describe.each(stores.filter(({ absent }) => !absent))('over a ledger in $name', ({ open, clean }) => {
  const store = open();
  afterAll(async () => {
    await store.close();
    await clean();
  });

  /** A conversation with a ledger; the ids of both sort before the last one. */
  const filled = async (sessions: ReturnType<typeof wrapStore>): Promise<readonly [string, string]> => {
    for await (const { id } of store.sessions()) await store.deleteSession(id);
    const [id, last] = [uniqueName('ledger'), `é${uniqueName('last')}`];
    await sessions.session(id).addItems([user('a')]);
    await record(sessions.session(id));
    await sessions.session(last).addItems([user('b')]);
    return [id, last];
  };

  it('migrate() seals the plain ledger and every session behind it', async () => {
    const [id, last] = await filled(wrapStore(store, []));
    const keys = keyring({ current: old });
    const unsafeAllowPlaintext = { until: new Date(Date.now() + 86_400_000) };
    const lenient = wrapStore(store, [
      expire({ after: '30d', unstamped: 'keep' }),
      encrypt({ keys, unsafeAllowPlaintext }),
    ]);
    expect(await migrate(lenient)).toMatchObject({ sessions: 3, sealed: 4 });
    const strict = wrapStore(store, [expire({ after: '30d' }), encrypt({ keys })]);
    expect(await verifySessions(strict)).toMatchObject({ sessions: 3, failed: 0 });
    await record(strict.session(id));
    expect(await sessionUsage(strict.session(id))).toMatchObject({ runs: 2, inputTokens: 14 });
    expect(await strict.session(last).getItems()).toEqual([user('b')]);
  });

  it.each<[string, Partial<EncryptOptions>]>([
    ['beside the records', {}],
    ['inside the records', { dekStore: 'inline' }],
  ])('reencrypt() and rewrap() free the old key where data keys are %s', async (_where, more) => {
    const keys = keyring({ current: old });
    const sessions = wrapStore(store, [encrypt({ keys, ...more })]);
    const [id, last] = await filled(sessions);
    keys.add(next);
    keys.promote(next.kid as string);
    expect(await rewrap(sessions)).toMatchObject({ rewrapped: 3, failed: 0 });
    expect(await reencrypt(sessions, { grace: 0 })).toMatchObject({ sessions: 3, entries: 4 });
    await destroyKey(keys, old.kid as string, { dekStores: sessions });
    const only = wrapStore(store, [encrypt({ keys: keyring({ current: next }), ...more })]);
    await record(only.session(id));
    expect(await sessionUsage(only.session(id))).toMatchObject({ runs: 2, inputTokens: 14 });
    expect(await only.session(last).getItems()).toEqual([user('b')]);
  });

  it('importSession() writes the export of a ledger, and no conversation', async () => {
    const sessions = wrapStore(store, [encrypt({ keys: keyring({ current: old }) })]);
    const [id] = await filled(sessions);
    const ledgerOf = (of: string) => sessions.session(`~usage~~${of}`, { derived: true });
    const copy = uniqueName('copy');
    await importSession(ledgerOf(copy), await exportSession(ledgerOf(id), { open: true }));
    expect(await sessionUsage(sessions.session(copy))).toMatchObject({ runs: 1, inputTokens: 7 });
    const conversation = await exportSession(sessions.session(id), { open: true });
    expect(await failure(() => importSession(ledgerOf(uniqueName('none')), conversation))).toEqual(
      coded('ERR_UNSUPPORTED', /is the usage ledger of a conversation: it takes records of usage only/),
    );
  });
});
