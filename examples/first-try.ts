import { Agent, MemorySession, Runner } from '@openai/agents';
import { ScriptedModel, assistantMessage } from '@openai/agents/testing';
import { encrypt, expire, generateKey, keyring, redact, wrapSession } from 'strongroom';

const keys = keyring({ current: await generateKey() });
const inner = new MemorySession(); // any session: yours, the SDK's, or one of a store
const session = wrapSession(inner, [
  redact({ entities: ['EMAIL_ADDRESS'] }),
  expire({ after: '30d' }),
  encrypt({ keys }),
]);

// The SDK's scripted model needs no API key. With a key in OPENAI_API_KEY, leave `model` out.
const model = new ScriptedModel([[assistantMessage('Hello Ada, your order is on its way.')]]);
const agent = new Agent({ name: 'Support', model });
await new Runner({ tracingDisabled: true }).run(agent, 'I am Ada (ada@example.com). Where is my order?', {
  session,
});

console.log('The agent reads: ', JSON.stringify(await session.getItems(), null, 2));
console.log('The store holds: ', JSON.stringify(await inner.getItems(), null, 2));
