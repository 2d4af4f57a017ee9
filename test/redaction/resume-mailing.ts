// Another process: takes up the run of which the state is on standard input, approves it and tells what happened.
import { readFileSync } from 'node:fs';
import { RunState } from '@openai/agents';
import { answer, openMailingAgent } from './mailing-agent.ts';

const { store, session, agent, model, runner, sent } = openMailingAgent(process.argv[2] as string, true, [
  answer,
]);
const state = await RunState.fromString(agent, readFileSync(0, 'utf8'));
for (const interruption of state.getInterruptions()) state.approve(interruption);
let finalOutput: unknown;
if (process.argv[3] === 'streamed') {
  const result = await runner.run(agent, state, { session, stream: true });
  await result.completed;
  finalOutput = result.finalOutput;
} else {
  finalOutput = (await runner.run(agent, state, { session })).finalOutput;
}
process.stdout.write(
  JSON.stringify({ sent, finalOutput, requests: model.calls.map((call) => call.request) }),
);
await store.close();
