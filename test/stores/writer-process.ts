import type { AgentInputItem } from '@openai/agents';
import { openStore } from './open-store.ts';

// A process of its own over one database, which is going to be killed. It stores two items a call, as `addItems` or by turns
// as that and as a transaction. Each line of its output is a call that was acknowledged.
const [target = '', name = '', writer = '', kind = ''] = process.argv.slice(2);
await using store = openStore(target, name);
const session = store.session('shared');
for (let call = 0; ; call++) {
  const items = [0, 1].map((part): AgentInputItem => ({
    type: 'message',
    role: 'user',
    content: `${writer} ${call} ${part}`,
  }));
  if (kind === 'append' || call % 2 === 0) await session.addItems(items);
  else {
    await session.applyHistoryTransaction({
      operationId: `${writer} ${call}`,
      transaction: { type: 'append_items', items },
    });
  }
  process.stdout.write(`${call}\n`);
}
