import { readFile, writeFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { template } from '../support/template.ts';

/** A new database in memory, as `PGlite.create()` makes it, without the seconds in which that runs `initdb`. */
export async function emptyPGlite(): Promise<PGlite> {
  const path = await template('pglite.tar', async (path) => {
    const database = await PGlite.create();
    const files = await database.dumpDataDir('none');
    await writeFile(path, await files.bytes());
    await database.close();
  });
  return await PGlite.create({ loadDataDir: new Blob([await readFile(path)]) });
}
