import { Agent, Runner } from '@openai/agents';
import { assistantMessage, modelResponder, ScriptedModel } from '@openai/agents/testing';
import type { JWK } from 'jose';
import { isStrongroomError } from '../../src/errors.ts';
import { branches } from '../../src/history/branches.ts';
import { recordUsage } from '../../src/history/usage.ts';
import { wrapStore } from '../../src/index.ts';
import { openStore } from '../stores/open-store.ts';
import { erasureLayers } from './erasure-layers.ts';

// A process of its own that runs an agent in a conversation of a subject, makes branches of it and records usage, until it gets a
// line. Each line of its output is a turn: `done`, or `failed CODE MESSAGE`. It goes on after a failure.
const [target = '', name = '', key = '', id = '', subject = ''] = process.argv.slice(2);

await using store = openStore(target, name);
const sessions = wrapStore(store, erasureLayers(store, JSON.parse(key) as JWK));
const runner = new Runner({ tracingDisabled: true });

async function turn(number: number): Promise<void> {
  const session = sessions.session(id, { subject });
  const model = new ScriptedModel([modelResponder(() => [assistantMessage(`answer ${number}`)])]);
  const agent = new Agent({ name: 'Support', model });
  const result = await runner.run(agent, `question ${number} of person${number}@example.org`, { session });
  await recordUsage(session, result);
  const branch = await branches(sessions, id).create(`b${number}`);
  await branch.addItems([{ type: 'message', role: 'user', content: `on the branch: ${number}` }]);
}

await store.ping();
const stop = new AbortController();
process.stdin.once('data', () => {
  stop.abort();
  process.stdin.destroy();
});
for (let number = 0; !stop.signal.aborted; number++) {
  try {
    await turn(number);
    process.stdout.write('done\n');
  } catch (error) {
    const text = isStrongroomError(error) ? `${error.code} ${error.message}` : String(error);
    process.stdout.write(`failed ${text.replaceAll('\n', ' ')}\n`);
  }
}
