/**
 * Customer support: a conversation a ticket, a window that bounds what the model is given, old tool results left out of it, two
 * processes that do not interleave, and an erasure of the customer with a receipt.
 */
import assert from 'node:assert/strict';
import { Agent, Runner, tool } from '@openai/agents';
import { ScriptedModel, assistantMessage, functionCall } from '@openai/agents/testing';
import {
  cache,
  complianceRunConfig,
  encrypt,
  exclusive,
  expire,
  generateKey,
  keyring,
  redact,
  runExclusive,
  trimHistory,
  wrapStore,
} from 'strongroom';
import { clearToolOutputs, sessionId, subjectOf, turns } from 'strongroom/history';
import { eraseSubject, exportSubject, retention, verifyErasure, verifyReceipt } from 'strongroom/retention';
import { openSqlite } from 'strongroom/sqlite';
import { exportJWK, generateKeyPair } from 'jose';
import { z } from 'zod';

const keys = keyring({ current: await generateKey() });
const pair = await generateKeyPair('ES256', { extractable: true });
const [receiptKey, publicKey] = [await exportJWK(pair.privateKey), await exportJWK(pair.publicKey)];

// #region stack
const found: Record<string, number> = {};
const store = openSqlite('support.db');
const sessions = wrapStore(store, [
  exclusive(), // an answer of the customer and one of a colleague do not interleave
  redact({
    denyList: { CUSTOMER_NAME: ['Ada Lovelace'] }, // names come from your CRM: recognizers cannot know them
    onRedaction: ({ counts }) => {
      for (const [entity, count] of Object.entries(counts)) found[entity] = (found[entity] ?? 0) + count;
    },
  }),
  expire({ after: '90d' }),
  cache({ maxBytes: 64 * 2 ** 20 }),
  encrypt({ keys }),
]);
const ticket = (customer: string, number: string) => {
  const id = sessionId('shop', customer, number);
  return sessions.session(id, { subject: subjectOf(id, 2) });
};
// #endregion

// #region run
const sessionInputCallback = trimHistory({ maxTurns: 4 });
const callModelInputFilter = clearToolOutputs({ keep: 1 });
const runner = new Runner(complianceRunConfig());
const answer = async (agent: Agent, session: ReturnType<typeof ticket>, text: string) =>
  runExclusive(runner, agent, text, { session, sessionInputCallback, callModelInputFilter });
// #endregion

const orders = tool({
  name: 'orders',
  description: 'Lists the orders of the customer.',
  parameters: z.object({}),
  execute: async () => `Order 17: ${'a long list of goods, '.repeat(40)}`,
});
const model = new ScriptedModel(
  Array.from({ length: 8 }, (_, turn) => [
    [functionCall('orders', {}, { callId: `call_${turn}` })],
    [assistantMessage(`Answer ${turn}.`)],
  ]).flat(),
);
const agent = new Agent({ name: 'Support', model, tools: [orders] });
const session = ticket('ada', 'T-1042');
for (let turn = 0; turn < 8; turn++) {
  await answer(agent, session, `Question ${turn} of Ada Lovelace, ada@example.com.`);
}
const stored = await session.getItems();
const sent = JSON.stringify(model.calls.at(-1)?.request.input);
console.log(
  `${(await turns(session)).length} turns of ${stored.length} items and ${JSON.stringify(stored).length} characters stored`,
);
console.log(
  `${model.calls.at(-1)?.request.input.length} items and ${sent.length} characters sent with the last call`,
);
console.log('redacted:', found);
assert.equal(stored.length, 32);
assert.ok(sent.length < JSON.stringify(stored).length / 2);
assert.equal(model.calls.at(-1)?.request.input.length, 19);
assert.doesNotMatch(JSON.stringify(stored), /Lovelace|ada@example/);

// #region customer
const copy: string[] = [];
for await (const { id, items } of exportSubject(sessions, 'shop:ada', { purpose: 'request 12' })) {
  copy.push(`${id}: ${items.length} items`);
}
const report = await eraseSubject(sessions, 'shop:ada', { receiptKey, reason: 'request 13' });
const erasure = await verifyReceipt(report.receipt ?? '', publicKey, { subject: 'shop:ada' });
console.log(
  'exported:',
  copy,
  'left behind:',
  report.orphans,
  'came back:',
  await verifyErasure(sessions, erasure),
);
// #endregion
assert.deepEqual(report.orphans, []);
assert.deepEqual(copy, ['shop:ada:T-1042: 32 items']);

// #region job
const jobs = retention(sessions, { expired: true, maxIdle: '30d' });
console.log('the job would delete:', (await jobs.run({ dryRun: true })).deleted);
jobs.start(); // each hour, in one of all processes
// #endregion
await jobs.stop();
await sessions.close();
