import type { AgentInputItem } from '@openai/agents';
import { openStore } from './open-store.ts';

// A process of its own over one database. It appends two items a call, and pops one after every `popEvery`th call. Each line
// of its output is something that was acknowledged: `+ session call`, or `- session text of the popped item`.
const [target = '', name = '', writer = '', calls = '', sessions = '', popEvery = '0'] =
  process.argv.slice(2);
await using store = openStore(target, name);
for (let call = 0; call < Number(calls); call++) {
  const id = `shared-${call % Number(sessions)}`;
  const session = store.session(id);
  const items = [0, 1].map((part): AgentInputItem => ({
    type: 'message',
    role: 'user',
    content: `${writer} ${call} ${part}`,
  }));
  await session.addItems(items);
  process.stdout.write(`+ ${id} ${call}\n`);
  if (Number(popEvery) > 0 && call % Number(popEvery) === 0) {
    const popped = (await session.popItem()) as { content: string } | undefined;
    if (popped !== undefined) process.stdout.write(`- ${id} ${popped.content}\n`);
  }
}
