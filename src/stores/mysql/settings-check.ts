import { StrongroomError } from '../../errors.ts';
import { list, text, type SqlRunner } from '../sql/client.ts';
import { ifAsked } from '../sql/if-asked.ts';
import { createWarnOnce } from '../warn-once.ts';
import { mysqlFailure } from './failure.ts';

const WHERE = 'openMysql';
const warnOnce = createWarnOnce('STRONGROOM_MYSQL', WHERE);

const OURS = ['sessions', 'items', 'operations', 'deks', 'leases', 'holds'];
const VARIABLES = ['innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin', 'sync_binlog'];

/**
 * Checks whether the server keeps acknowledged writes, as far as its settings show (MariaDB manual, *InnoDB System
 * Variables* and *Binary Log*).
 *
 * @throws {@link StrongroomError} `ERR_UNSUPPORTED` when a table of ours has an engine without transactions: a call
 * could be stored in part.
 */
export async function checkSettings(runner: SqlRunner, prefix: string): Promise<void> {
  const tables = OURS.map((table) => `${prefix}${table}`);
  const engines = await ifAsked(
    () =>
      runner.read(
        `SELECT table_name AS name, engine AS engine FROM information_schema.tables
       WHERE table_schema = database() AND table_name IN (${list(tables.length)}) AND engine <> 'InnoDB' ORDER BY table_name`,
        tables,
      ),
    mysqlFailure,
  );
  const others = (engines?.rows ?? []).map((row) => `${text(row['name'])} (${text(row['engine'])})`);
  if (others.length > 0) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${WHERE}: these tables have no transactions, so a failed call could leave a part of its changes: ${others.join(', ')}. Run ALTER TABLE … ` +
        'ENGINE=InnoDB for each; nothing was read or written.',
    );
  }
  const variables = await ifAsked(
    () =>
      runner.read(
        `SHOW VARIABLES WHERE Variable_name IN (${VARIABLES.map((name) => `'${name}'`).join(', ')})`,
      ),
    mysqlFailure,
  );
  const settings = new Map(
    (variables?.rows ?? []).map((row) => [text(row['Variable_name']).toLowerCase(), text(row['Value'])]),
  );
  const flush = settings.get('innodb_flush_log_at_trx_commit');
  if (flush === '0' || flush === '2') {
    warnOnce(
      `a crash loses about one second of acknowledged writes (innodb_flush_log_at_trx_commit ${flush}). Set it to 1.`,
    );
  }
  if (settings.get('log_bin') === 'ON' && settings.get('sync_binlog') !== '1') {
    warnOnce(
      'a crash of the machine can undo acknowledged writes that are not in the binary log yet (log_bin on, sync_binlog ' +
        `${settings.get('sync_binlog') ?? 'unknown'}). Set sync_binlog to 1.`,
    );
  }
  if (/^(?:OFF|0)$/i.test(settings.get('innodb_doublewrite') ?? '')) {
    warnOnce(
      'a crash of the machine can leave half-written pages (innodb_doublewrite off). Set it to on, unless the file system ' +
        'writes pages whole.',
    );
  }
}
