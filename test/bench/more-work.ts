// Prints what is counted of nothing, and of one of everything.
import { countWork } from '../../bench/counts.ts';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { cloneItem } from '../../src/protocol/item.ts';

const database = new DatabaseSync(':memory:');
const key = randomBytes(32);
const nothing = async (): Promise<void> => undefined;

const plain = await countWork(async () => async () => nothing());
const more = await countWork(async () => async () => {
  await nothing();
  await nothing();
  database.exec('BEGIN');
  database.prepare('SELECT 1').all();
  database.exec('COMMIT');
  createCipheriv('aes-256-gcm', key, randomBytes(12));
  createHash('sha256');
  JSON.parse(JSON.stringify([]));
  cloneItem({ text: '' });
  structuredClone([]);
  // A search that goes on is one.
  'aaa'.replaceAll(/a/g, '');
  /b/.test('b');
});
process.stdout.write(JSON.stringify({ plain, more }));
