import { setImmediate } from 'node:timers/promises';
import { isStrongroomError } from '../../errors.ts';
import { MAINTENANCE } from '../../session-contract.ts';
import type { Store } from '../../stores/store.ts';
import { messageWithCauses } from '../causes.ts';
import type { Report } from './finding.ts';

/** Whether the database answers, keeps what it acknowledged, and has the indexes of the schema. */
export async function checkDatabase(store: Store, report: Report): Promise<boolean> {
  // A store checks the settings of its server itself, and reports them as process warnings.
  const warnings: string[] = [];
  const onWarning = (warning: Error & { readonly code?: string }): void => {
    if (warning.code?.startsWith('STRONGROOM_') === true) warnings.push(warning.message);
  };
  const others = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', onWarning);
  try {
    await store.ping();
    // A warning is emitted in a later turn of the event loop.
    await setImmediate();
  } catch (error) {
    if (!isStrongroomError(error)) throw error;
    report(
      'error',
      'database',
      `${error.code}: ${messageWithCauses(error)}`,
      'Until then nothing else can be checked.',
    );
    return false;
  } finally {
    process.removeAllListeners('warning');
    for (const other of others) process.on('warning', other);
  }
  for (const warning of warnings) {
    report('warning', 'database.settings', warning, 'See docs/stores.md, What each needs.');
  }
  const { settings = [], missingIndexes = [] } = (await store[MAINTENANCE]?.checkup?.()) ?? {};
  for (const { what, next, level } of settings) report(level, 'database.settings', what, next);
  if (missingIndexes.length > 0) {
    report(
      'warning',
      'database.indexes',
      `The database lacks indexes of the schema: ${missingIndexes.join(', ')}. Lists, purges and erasures read whole tables.`,
      'Create them again, as in the statements of the setup function of the store.',
    );
  }
  return true;
}
