import { createInterface } from 'node:readline';
import { branchActor, type BranchDeed } from './branch-actor.ts';

// A process of its own, which does what each line says and answers with a line.
const [target = '', name = ''] = process.argv.slice(2);
const actor = branchActor(target, name);
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await actor
    .act(JSON.parse(line) as BranchDeed)
    .catch((error: unknown) => ({ failed: String(error) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await actor.close();
