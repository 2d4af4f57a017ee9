/**
 * Payments: the model works with tokens and never sees an account, the tool gets the account, the store holds neither, records
 * cannot be reordered unnoticed, and keys in a database of their own make an erasure reach every backup.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { Agent, Runner, tool } from '@openai/agents';
import { ScriptedModel, assistantMessage, functionCall, modelResponder } from '@openai/agents/testing';
import {
  audit,
  complianceRunConfig,
  encrypt,
  exclusive,
  expire,
  generateKey,
  keyring,
  redact,
  runExclusive,
  wrapSession,
  wrapStore,
  type AuditEvent,
} from 'strongroom';
import { derivedId } from 'strongroom/history';
import { hold, release, shred, sqliteDekStore } from 'strongroom/keys';
import {
  createRedactor,
  redactModelInput,
  restoreToolArguments,
  type RedactionOptions,
} from 'strongroom/redaction';
import { openSqlite } from 'strongroom/sqlite';
import { z } from 'zod';

const keys = keyring({ current: await generateKey() });
const tokenKey = randomBytes(32);
const log: AuditEvent[] = [];

// #region stack
const store = openSqlite('payments.db');
// The data keys are in another database, with other backups: who destroys a key there makes every copy of its records unreadable.
const dekStore = sqliteDekStore('payment-keys.db');
const seal = encrypt({ keys, dekStore, integrity: 'sequence' });

const vaultOf = (id: string) =>
  wrapSession(store.session(derivedId({ kind: 'vault', of: id }), { derived: true }), [
    encrypt({ keys, dekStore }),
  ]);
const rules: RedactionOptions = {
  entities: ['IBAN_CODE', 'CREDIT_CARD'],
  operators: {
    IBAN_CODE: { type: 'pseudonymize', key: tokenKey }, // a token that a tool can turn back
    CREDIT_CARD: { type: 'mask', keepLast: 4 },
  },
};
const sessions = wrapStore(store, [
  audit({ sink: (event) => void log.push(event) }),
  exclusive(), // two requests on one account follow each other
  redact({ ...rules, vault: vaultOf }),
  expire({ after: '3650d' }),
  seal,
]);
// #endregion

const ID = 'account-0815';
const session = sessions.session(ID);
const IBAN = 'DE89370400440532013000';
const paid: string[] = [];
// #region tool
const redactor = createRedactor({ ...rules, vault: vaultOf(ID) });
const pay = restoreToolArguments(
  tool({
    name: 'pay',
    description: 'Transfers an amount to an account.',
    parameters: z.object({ to: z.string(), cents: z.number().int().positive() }),
    execute: async ({ to, cents }) => {
      paid.push(to);
      return `${cents} cents sent`;
    },
  }),
  redactor,
);
const callModelInputFilter = redactModelInput(redactor);
// #endregion

const model = new ScriptedModel([
  modelResponder(({ request }) => {
    const [token = ''] = /<IBAN_CODE[^>]*>/.exec(JSON.stringify(request.input)) ?? [];
    return [functionCall('pay', { to: token, cents: 8_400 }, { callId: 'call_1' })];
  }),
  [assistantMessage('84 euros are on their way.')],
]);
const agent = new Agent({ name: 'Payments', model, tools: [pay] });
await runExclusive(
  new Runner(complianceRunConfig()),
  agent,
  `Pay 84 euros to ${IBAN}, from my card 4111 1111 1111 1111.`,
  { session, callModelInputFilter },
);

const given = JSON.stringify(model.calls.map(({ request }) => request.input));
assert.doesNotMatch(given, /DE8937|4111 1111/);
assert.deepEqual(paid, [IBAN]);
console.log('the model was given:', /Pay 84 euros[^"]*/.exec(given)?.[0]);
console.log('the tool was given: ', paid[0]);

// #region holds
const { id } = await hold(session, { reason: 'audit of 2026' });
await assert.rejects(sessions.deleteSession(ID), { code: 'ERR_HELD' });
await assert.rejects(shred(session, { reason: 'request 12' }), { code: 'ERR_HELD' });
await release(session, id);
// #endregion
console.log('under a hold: neither deleted nor shredded');

// A writer of the database exchanges the order of two records.
const database = new DatabaseSync('payments.db');
const swap = (): void => {
  const rows = database
    .prepare(
      `SELECT strongroom_items.key, seq FROM strongroom_items JOIN strongroom_sessions AS its ON its.key = session
        WHERE its.id = ? ORDER BY seq LIMIT 2`,
    )
    .all(ID);
  const [one, two] = rows as { key: number; seq: number }[];
  const move = database.prepare('UPDATE strongroom_items SET seq = ? WHERE key = ?');
  assert.ok(one !== undefined && two !== undefined);
  move.run(-1, one.key);
  move.run(one.seq, two.key);
  move.run(two.seq, one.key);
};
swap();
await assert.rejects(session.getItems(), { code: 'ERR_AUTHENTICATION' });
console.log('records in another order: ERR_AUTHENTICATION');
swap();
assert.equal((await session.getItems()).length, 4);

// #region erasure
database.exec("VACUUM INTO 'backup.db'"); // the nightly backup of the records, not of the keys
await shred(session, { reason: 'request 12' });
const restored = openSqlite('backup.db'); // an operator restores the backup
const again = wrapStore(restored, [expire({ after: '3650d' }), seal]).session(ID);
console.log(
  'readable in the backup:',
  (await again.getItems()).length,
  'of',
  (await restored.session(ID).getItems()).length,
);
// #endregion
assert.deepEqual(await again.getItems(), []);
assert.equal((await restored.session(ID).getItems()).length, 4);
database.close();
await Promise.all([sessions.close(), restored.close(), dekStore.close()]);
for (const file of ['payments.db', 'backup.db', 'payment-keys.db']) {
  assert.doesNotMatch(readFileSync(file, 'latin1'), /DE8937|4111 1111|84 euros/);
}
