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
  type SessionLayer,
  type Store,
} from '../../src/index.ts';
import { migrate, verifySessions } from '../../src/operations/index.ts';
import { createRedactor } from '../../src/redaction/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { everyStore } from '../stores/every-store.ts';

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const operators = { DEFAULT: { type: 'pseudonymize', key: new Uint8Array(32).fill(3) } } as const;
const entities = ['EMAIL_ADDRESS'] as const;
const until = new Date(Date.now() + 86_400_000);

function vaultRows(raw: Store, id: string): Session {
  return raw.session(derivedId({ kind: 'vault', of: id }), { derived: true });
}

/** A stack whose vaults have layers of their own. */
function stackOf(raw: Store, vaultLayers: readonly SessionLayer[], layers: readonly SessionLayer[]): Store {
  const vault = (id: string): Session =>
    vaultLayers.length === 0 ? vaultRows(raw, id) : wrapSession(vaultRows(raw, id), vaultLayers);
  return wrapStore(raw, [redact({ entities, operators, vault }), ...layers]);
}

async function textsIn(session: Session): Promise<string> {
  return JSON.stringify(await session.getItems());
}

/** The text of the conversation with its values in place of the tokens. */
async function restored(sessions: Store, vault: Session, id: string): Promise<string> {
  return createRedactor({ entities, operators, vault }).restoreText(await textsIn(sessions.session(id)));
}

async function vaultInClear() {
  const raw = openSqlite(':memory:');
  await stackOf(raw, [], [])
    .session('one')
    .addItems([said('mail one@example.com')]);
  return { keys: keyring({ current: await generateKey() }), raw };
}

const cases = await everyStore('migrate() over vaults');

describe.each(cases)('migrate() over a store with vaults in $name', ({ absent, open, clean }) => {
  test.skipIf(absent)('seals the values, and the conversation can be continued', async () => {
    const raw = open();
    try {
      const keys = keyring({ current: await generateKey() });
      for (const id of ['one', 'two'])
        await stackOf(raw, [], [])
          .session(id)
          .addItems([said(`mail ${id}@example.com`)]);
      const accepting = encrypt({ keys, unsafeAllowPlaintext: { until } });
      expect(await migrate(stackOf(raw, [accepting], [accepting]))).toMatchObject({
        sessions: 4,
        sealed: 4,
        already: 0,
      });
      const seal = encrypt({ keys });
      const sessions = stackOf(raw, [seal], [seal]);
      expect(await textsIn(vaultRows(raw, 'one'))).not.toContain('example.com');
      await sessions.session('one').addItems([said('again one@example.com and eve@example.com')]);
      expect(await verifySessions(sessions)).toMatchObject({ sessions: 4, failures: [] });
      const vault = wrapSession(vaultRows(raw, 'one'), [seal]);
      expect(await restored(sessions, vault, 'one')).toContain('again one@example.com and eve@example.com');
    } finally {
      await raw.close();
      await clean();
    }
  });
});

describe('migrate()', () => {
  test('seals a vault under the keys of its own stack', async () => {
    const keys = keyring({ current: await generateKey() });
    const own = keyring({ current: await generateKey() });
    const raw = openSqlite(':memory:');
    await stackOf(raw, [], [])
      .session('one')
      .addItems([said('mail one@example.com')]);
    const unsafeAllowPlaintext = { until };
    await migrate(
      stackOf(
        raw,
        [encrypt({ keys: own, context: { purpose: 'vault' }, unsafeAllowPlaintext })],
        [encrypt({ keys, unsafeAllowPlaintext })],
      ),
    );
    expect(await textsIn(vaultRows(raw, 'one'))).not.toContain('example.com');
    const vault = wrapSession(vaultRows(raw, 'one'), [encrypt({ keys: own, context: { purpose: 'vault' } })]);
    expect(await textsIn(vault)).toContain('one@example.com');
  });

  test('seals a vault without redact() in the stack, and changes no value in it', async () => {
    const { keys, raw } = await vaultInClear();
    const accepting = encrypt({ keys, unsafeAllowPlaintext: { until } });
    expect(await migrate(wrapStore(raw, [redact({ entities }), accepting]))).toMatchObject({ sealed: 2 });
    expect(await textsIn(vaultRows(raw, 'one'))).not.toContain('example.com');
    expect(await textsIn(wrapSession(vaultRows(raw, 'one'), [encrypt({ keys })]))).toContain(
      'one@example.com',
    );
  });

  test('leaves a vault that the stack keeps in clear', async () => {
    const { keys, raw } = await vaultInClear();
    const accepting = encrypt({ keys, unsafeAllowPlaintext: { until } });
    expect(await migrate(stackOf(raw, [], [accepting]))).toMatchObject({ sessions: 1, sealed: 1 });
    expect(await textsIn(vaultRows(raw, 'one'))).toContain('one@example.com');
  });

  test('names a vault in clear whose encrypt() does not accept that', async () => {
    const { keys, raw } = await vaultInClear();
    await expect(migrate(wrapSession(vaultRows(raw, 'one'), [encrypt({ keys })]))).rejects.toMatchObject({
      code: 'ERR_NOT_SEALED',
      message:
        'migrate: the vault "~vault~~one" has records in clear, and its encrypt() does not accept them. Give this ' +
        'encrypt(), too, unsafeAllowPlaintext: { until } for the migration.',
    });
  });

  test('stores the values of the tokens that it makes of old rows', async () => {
    const keys = keyring({ current: await generateKey() });
    const raw = openSqlite(':memory:');
    await raw.session('one').addItems([said('mail one@example.com')]);
    const accepting = encrypt({ keys, unsafeAllowPlaintext: { until } });
    const during = stackOf(raw, [accepting], [accepting]);
    await migrate(during);
    expect(await textsIn(during.session('one'))).not.toContain('one@example.com');
    const vault = wrapSession(vaultRows(raw, 'one'), [accepting]);
    expect(await restored(during, vault, 'one')).toContain('mail one@example.com');
  });
});
