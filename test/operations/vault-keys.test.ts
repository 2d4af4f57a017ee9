import type { AgentInputItem, Session } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { derivedId } from '../../src/history/index.ts';
import {
  encrypt,
  generateKey,
  keyring,
  redact,
  wrapSession,
  wrapStore,
  type Store,
} from '../../src/index.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { checkKeys, destroyKey, reencrypt, rewrap, verifySessions } from '../../src/operations/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';

const letter: AgentInputItem = { type: 'message', role: 'user', content: 'my mail is ada@example.com' };

/** The stack of docs/redaction.md. */
function stackOf(
  raw: Store,
  keys: Keyring,
  inline: boolean,
  vaultKeys = keys,
): { readonly sessions: Store<Session>; readonly vault: Session } {
  const layer = (ring: Keyring): ReturnType<typeof encrypt> =>
    encrypt({ keys: ring, ...(inline && { dekStore: 'inline' }) });
  const vaultOf = (id: string): Session =>
    wrapSession(raw.session(derivedId({ kind: 'vault', of: id }), { derived: true }), [layer(vaultKeys)]);
  const key = new Uint8Array(32).fill(7);
  const redaction = redact({
    entities: ['EMAIL_ADDRESS'],
    operators: { DEFAULT: { type: 'pseudonymize', key } },
    vault: vaultOf,
  });
  return { sessions: wrapStore(raw, [redaction, layer(keys)]), vault: vaultOf('chat') };
}

describe.each([
  { where: 'in the table', inline: false },
  { where: 'in the records', inline: true },
])('the vault of a conversation, with data keys $where', ({ inline }) => {
  test.each([
    { name: 'rewrap()', run: (store: Store): Promise<unknown> => rewrap(store) },
    { name: 'reencrypt()', run: (store: Store): Promise<unknown> => reencrypt(store, { grace: 0 }) },
  ])('goes over to the new key with the store, by $name', async ({ run }) => {
    const old = { ...(await generateKey()), kid: 'old' };
    const next = { ...(await generateKey()), kid: 'next' };
    await using raw = openSqlite(':memory:');
    await stackOf(raw, keyring({ current: old }), inline)
      .sessions.session('chat')
      .addItems([letter]);
    const keys = keyring({ current: next, previous: [old] });
    const { sessions, vault } = stackOf(raw, keys, inline);
    expect(await checkKeys(sessions, { keys })).toMatchObject([{ kid: 'old', dataKeys: 2, sessions: 2 }]);
    await expect(destroyKey(keys, 'old', { dekStores: sessions })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('2 data keys are still wrapped by the key "old"') as string,
    });
    await run(sessions);
    expect(await checkKeys(sessions, { keys })).toMatchObject([{ kid: 'next', dataKeys: 2, sessions: 2 }]);
    await destroyKey(keys, 'old', { dekStores: sessions });
    expect(await verifySessions(sessions)).toMatchObject({ sessions: 2, records: 2, failures: [] });
    expect(await vault.getItems()).toHaveLength(1);
    expect(await sessions.session('chat').getItems()).toHaveLength(1);
  });

  test('with keys of its own is named by verifySessions(), and reencrypt() leaves it alone', async () => {
    const keys = keyring({ current: await generateKey() });
    const own = keyring({ current: await generateKey() });
    await using raw = openSqlite(':memory:');
    const { sessions, vault } = stackOf(raw, keys, inline, own);
    await sessions.session('chat').addItems([letter]);
    expect(await verifySessions(sessions)).toMatchObject({
      failures: [{ sessionId: '~vault~~chat', index: 0, code: 'ERR_KEY_UNKNOWN' }],
    });
    expect(await reencrypt(sessions, { grace: 0 })).toMatchObject({ sessions: 1, entries: 1 });
    expect(await vault.getItems()).toHaveLength(1);
    expect(await sessions.session('chat').getItems()).toHaveLength(1);
  });
});
