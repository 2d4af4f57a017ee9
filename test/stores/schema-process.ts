import { once } from 'node:events';
import { openStore } from './open-store.ts';

// A process of its own, which opens a database when it is given a line, at the same moment as others.
const [target = '', name = '', item = ''] = process.argv.slice(2);
process.stdout.write('ready\n');
await once(process.stdin, 'data');
await using store = openStore(target, name);
await store.session('plain').addItems([{ type: 'message', role: 'user', content: item }]);
process.stdout.write(`has ${(await store.session('plain').getItems()).length}\n`);
process.exit(0);
