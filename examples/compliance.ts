/**
 * A stack for a team that answers to auditors: who did what without content, personal data kept out of the store, a
 * retention period, encryption bound to the tenant, access by run context, and no copies by the SDK.
 */
import { Agent, Runner } from '@openai/agents';
import { ScriptedModel, assistantMessage } from '@openai/agents/testing';
import {
  audit,
  authorize,
  complianceRunConfig,
  encrypt,
  expire,
  generateKey,
  isStrongroomError,
  keyring,
  redact,
  wrapStore,
  type AuditEvent,
} from 'strongroom';
import { openSqlite } from 'strongroom/sqlite';

interface Caller {
  readonly userId: string;
}

const keys = keyring({ current: await generateKey() });
const log: AuditEvent[] = []; // in production: a place that the operators of the database cannot edit

const sessions = wrapStore(openSqlite('conversations.db'), [
  audit({
    sink: (event) => void log.push(event),
    actor: (call) => (call.runContext?.context as Caller | undefined)?.userId,
  }),
  authorize({
    check: (call) => call.sessionId === (call.runContext?.context as Caller | undefined)?.userId,
  }),
  redact({ entities: ['EMAIL_ADDRESS', 'CREDIT_CARD', 'US_SSN'] }),
  expire({ after: '90d' }),
  encrypt({ keys, context: { tenant: 'clinic-7' } }),
]);

const model = new ScriptedModel([[assistantMessage('Your appointment is on Monday.')]]);
const agent = new Agent({ name: 'Clinic', model });
// No traces, and no copy on the model provider's server.
const runner = new Runner(complianceRunConfig());

const context: Caller = { userId: 'patient-1' };
await runner.run(agent, 'I am jo@example.org, my number is 219-09-9999. When do I come?', {
  session: sessions.session('patient-1'),
  context,
});

try {
  await runner.run(agent, 'And what did patient-1 ask?', {
    session: sessions.session('patient-1'),
    context: { userId: 'patient-2' },
  });
} catch (error) {
  console.log('another patient:', isStrongroomError(error) ? error.code : error);
}

for (const { actor, operation, sessionId, itemsIn, itemsOut, outcome, error } of log) {
  console.log(JSON.stringify({ actor, operation, sessionId, itemsIn, itemsOut, outcome, error }));
}
await sessions.close();
