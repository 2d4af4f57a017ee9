import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { template } from '../support/template.ts';

/**
 * A new database in memory, as `PGlite.create()` makes it, without the seconds in which that runs `initdb`. All of its memory
 * is copied and cleared when it opens, so it has little: 8 MB of buffers instead of 128, a log of small files, and none of the
 * databases that only `CREATE DATABASE` reads.
 */
export async function emptyPGlite(): Promise<PGlite> {
  return await PGlite.create({ loadDataDir: new Blob([await readFile(await files())]) });
}

/** The same in a folder that is not there yet. */
export async function emptyPGliteFolder(folder: string): Promise<void> {
  mkdirSync(folder);
  execFileSync('tar', ['-xf', await files(), '-C', folder], { stdio: 'pipe' });
}

function files(): Promise<string> {
  return template('pglite.tar', async (path) => {
    const database = await PGlite.create({
      initDbStartParams: ['--wal-segsize=1'],
      postgresqlconf: 'shared_buffers = 8MB',
    });
    await database.exec('UPDATE pg_database SET datistemplate = false');
    for (const name of ['template0', 'template1']) await database.exec(`DROP DATABASE ${name}`);
    const dumped = await database.dumpDataDir('none');
    await writeFile(path, await dumped.bytes());
    await database.close();
  });
}
