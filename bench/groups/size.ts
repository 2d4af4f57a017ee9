import { statSync } from 'node:fs';
import { generateKey } from '../../src/index.ts';
import type { Column, Group } from '../group.ts';
import { conversation, TURN } from '../items.ts';
import { against } from '../rounds.ts';
import { fill, sqlitePlaces } from '../stacks.ts';

export const sizeGroup: Group = {
  title: 'Stored size',
  note: 'Bytes of the SQLite file with all of its log written back, in units of the JSON of the items; ten sessions of 100 turns each.',
  async *measure() {
    const columns: Column[] = [];
    for (const length of [300, 900]) {
      const places = sqlitePlaces(await generateKey()).slice(0, 3);
      const sizes: number[] = [];
      let json = 0;
      for (let session = 0; session < 10; session++) {
        const items = conversation(100 * TURN, session * 4_096, length);
        for (const place of places) await fill(place.session(`session ${session}`), items);
        json += items.reduce((sum, item) => sum + Buffer.byteLength(JSON.stringify(item)), 0);
      }
      for (const place of places) {
        sizes.push((await place.close(() => statSync(place.file).size)) as number);
      }
      const names = [{ name: 'JSON' }, ...places];
      columns.push({
        title: `texts of ${length}`,
        results: against(
          names,
          [json, ...sizes].map((size) => [size]),
          0,
        ),
      });
    }
    yield { title: 'stored size', unit: 'bytes', base: 'JSON', columns };
  },
};
