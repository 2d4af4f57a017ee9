/** Recognizers of your own: a pattern with a check digit, and a function that looks at the JSON key. */
import { redact, wrapSession } from 'strongroom';
import { patternRecognizer, type Recognizer } from 'strongroom/redaction';
import { MemorySession } from '@openai/agents';

// #region pattern
/** `E-4711-7`: the last digit is the sum of the others modulo 10. */
const employeeId = patternRecognizer({
  entity: 'EMPLOYEE_ID',
  pattern: /\bE-\d{4}-\d\b/,
  context: ['employee', 'personnel'],
  validate(match) {
    const digits = Array.from(match.replaceAll(/\D/g, ''), Number);
    const check = digits.pop();
    return digits.reduce((sum, digit) => sum + digit, 0) % 10 === check;
  },
});
// #endregion

// #region function
/** The whole text under a key that the application uses for names of patients, and for nothing else. */
const patientName: Recognizer = {
  name: 'patientName',
  entities: ['PATIENT'],
  analyze: (text, { key }) =>
    key === 'patient_name' && text !== ''
      ? [{ entityType: 'PATIENT', start: 0, end: text.length, score: 1 }]
      : [],
};
// #endregion

// #region use
const session = wrapSession(new MemorySession(), [
  redact({ entities: ['EMAIL_ADDRESS'], recognizers: [employeeId, patientName] }),
]);
await session.addItems([
  { role: 'user', content: 'I am E-4711-3, not E-4711-4; write to ada@example.com.' },
  {
    type: 'function_call',
    callId: 'call_1',
    name: 'find_patient',
    arguments: '{"patient_name":"Ada Lovelace","ward":"3b"}',
    status: 'completed',
  },
]);
for (const item of await session.getItems()) {
  console.log(item.type === 'function_call' ? item.arguments : 'content' in item && item.content);
}
// #endregion
