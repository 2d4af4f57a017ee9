import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { createWarnOnce } from '../warn-once.ts';

const warnOnce = createWarnOnce('STRONGROOM_SQLITE', 'openSqlite');

/** By the numbers of Linux (`linux/magic.h` and the file systems' own headers); other systems have others. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB 2'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x0bd00bd0, 'Lustre'],
]);

/**
 * Warns once a process of a file whose log may not work (https://sqlite.org/wal.html).
 *
 * @param mode The journal mode that the file has.
 * @param typeOf The number of the file system of a folder.
 */
export function checkFile(
  path: string,
  mode: string,
  typeOf: (folder: string) => number = typeOfFolder,
): void {
  if (path === ':memory:') return;
  const network = process.platform === 'linux' ? NETWORK.get(typeOf(dirname(path)) >>> 0) : undefined;
  if (network !== undefined) {
    warnOnce(
      `the file is on a network file system (${network}), where the log of SQLite works for one machine only and locks are not ` +
        'reliable. Put it on a local disk.',
    );
  }
  if (mode !== 'wal') {
    warnOnce(
      `the file system does not support a write-ahead log (journal mode ${mode}), so reads and writes wait for each other. Put the file on a ` +
        'local disk.',
    );
  }
}

function typeOfFolder(folder: string): number {
  try {
    return statfsSync(folder).type;
  } catch {
    return 0;
  }
}
