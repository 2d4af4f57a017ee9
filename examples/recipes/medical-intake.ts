/**
 * Medical intake: identity numbers reach neither the model nor the store, scans are not kept, clinicians need a reason, and a
 * record under a hold outlives the retention period.
 */
import assert from 'node:assert/strict';
import { Agent, Runner } from '@openai/agents';
import { ScriptedModel, assistantMessage } from '@openai/agents/testing';
import {
  audit,
  authorize,
  complianceRunConfig,
  encrypt,
  expire,
  generateKey,
  keyring,
  minimize,
  redact,
  wrapStore,
  type AuditEvent,
} from 'strongroom';
import { exportSession, hold } from 'strongroom/keys';
import {
  createRedactor,
  patternRecognizer,
  redactModelInput,
  type RedactionOptions,
} from 'strongroom/redaction';
import { retention } from 'strongroom/retention';
import { openSqlite } from 'strongroom/sqlite';

const keys = keyring({ current: await generateKey() });
const log: AuditEvent[] = [];
const DAY = 86_400_000;
let now = Date.now();
const clock = (): number => now; // only so that this example does not take two years

// #region stack
interface Caller {
  readonly id: string;
  readonly role: 'patient' | 'clinician';
}
const careTeam = new Map([['patient-7', ['dr-lee']]]); // who treats whom: a service of yours

// The same rules for what is stored and for what the model is given. Names need a model of their own: presidioRecognizer().
const rules: RedactionOptions = {
  countries: ['US', 'GB'],
  recognizers: [patternRecognizer({ entity: 'RECORD_NUMBER', pattern: /\bMRN-\d{7}\b/ })],
};
const store = openSqlite('intake.db', { clock });
const sessions = wrapStore(store, [
  audit({ sink: (event) => void log.push(event), actor: (call) => (call.runContext?.context as Caller)?.id }),
  authorize({
    check: ({ kind, sessionId, runContext, actor, purpose }) => {
      const caller = runContext?.context as Caller | undefined;
      // The patient, through the agent.
      if (caller !== undefined) return caller.role === 'patient' && caller.id === sessionId;
      // Your code on behalf of a clinician of the care team, with a reason; and jobs on the whole store.
      if (kind === 'exportSession' || kind === 'hold') {
        return purpose !== undefined && careTeam.get(sessionId)?.includes(actor ?? '') === true;
      }
      return actor === 'retention-job';
    },
  }),
  redact(rules),
  minimize({ images: true, files: true }),
  expire({ after: '730d', clock }),
  encrypt({ keys, context: { tenant: 'clinic-7' } }),
]);
const runner = new Runner(complianceRunConfig());
const callModelInputFilter = redactModelInput(createRedactor(rules));
// #endregion

const model = new ScriptedModel([
  // Answers do not pass the filter of the model's input: redact() keeps the number in this one out of the store.
  [assistantMessage('I have opened MRN-7654321. How long have you had the headache?')],
  [assistantMessage('Thank you. Dr. Lee will see you on Monday.')],
]);
const agent = new Agent({ name: 'Intake', model });
const patient: Caller = { id: 'patient-7', role: 'patient' };
const session = sessions.session('patient-7', { subject: 'patient-7' });
const scan = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ';
await runner.run(
  agent,
  [
    {
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_text', text: 'My SSN is 219-09-9999, my file is MRN-0012345. I have a headache.' },
        { type: 'input_image', image: scan },
      ],
    },
  ],
  { session, context: patient, callModelInputFilter },
);
await runner.run(agent, 'For two weeks.', { session, context: patient, callModelInputFilter });

const given = JSON.stringify(model.calls.map(({ request }) => request.input));
assert.doesNotMatch(given, /219-09-9999|MRN-0012345/);
console.log('the model was given:', /My SSN is [^"]*/.exec(given)?.[0]);

const stranger: Caller = { id: 'patient-8', role: 'patient' };
await assert.rejects(runner.run(agent, 'What did patient-7 say?', { session, context: stranger }), {
  code: 'ERR_ACCESS_DENIED',
});

// #region clinician
const notes = await exportSession(session, { open: true, actor: 'dr-lee', purpose: 'visit 2026-11-30' });
await hold(session, { reason: 'complaint 4711', actor: 'dr-lee', purpose: 'complaint 4711' });
// #endregion
assert.match(JSON.stringify(notes.items), /headache/);
assert.doesNotMatch(JSON.stringify(notes.items), /219-09-9999|MRN-\d|iVBOR/);
await assert.rejects(exportSession(session, { open: true, actor: 'dr-lee' }), { code: 'ERR_ACCESS_DENIED' });
await assert.rejects(exportSession(session, { open: true, actor: 'dr-ray', purpose: 'curiosity' }), {
  code: 'ERR_ACCESS_DENIED',
});

await runner.run(
  new Agent({ name: 'Intake', model: new ScriptedModel([[assistantMessage('Hello.')]]) }),
  'Hello',
  {
    session: sessions.session('patient-8', { subject: 'patient-8' }),
    context: stranger,
  },
);
now += 731 * DAY;
// #region job
const report = await retention(sessions, { expired: true, actor: 'retention-job' }).run();
// #endregion
console.log('after 731 days:', report.expired);
const kept: string[] = [];
for await (const { id } of store.sessions()) kept.push(id);
assert.deepEqual(kept, ['patient-7']);
console.log('kept by the hold:', kept);

for (const { actor, purpose, operation, sessionId, outcome, error } of log) {
  console.log(JSON.stringify({ actor, purpose, operation, sessionId, outcome, error }));
}
assert.doesNotMatch(JSON.stringify(log), /headache|219-09|MRN-/);
await sessions.close();
