import { once } from 'node:events';
import { flushCompileCache } from 'node:module';
import type { AgentInputItem } from '@openai/agents';
import { openStore } from './open-store.ts';

// A process of its own over one database, which is going to be killed. It says `ready` and waits for a line. Then it stores
// two items a call, as `addItems` or by turns as that and as a transaction. Each further line of its output is a call that was
// acknowledged.
const [target = '', name = '', writer = '', kind = ''] = process.argv.slice(2);
await using store = openStore(target, name);
const session = store.session('shared');
await store.ping();
// Transactions load the SDK.
if (kind !== 'append') await import('@openai/agents');
// It is not going to end by itself.
flushCompileCache();
process.stdout.write('ready\n');
await once(process.stdin, 'data');
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
