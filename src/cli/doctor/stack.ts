import { keyAccess } from '../../operations/access.ts';
import type { Store } from '../../stores/store.ts';
import { layersOfStore } from '../../wrap-store.ts';
import type { Report } from './finding.ts';

/** The layers by themselves. A stack whose order cannot work is refused when it is built, before this. */
export async function checkStack(store: Store, hasRetention: boolean, report: Report): Promise<void> {
  const names = layersOfStore(store).map(({ name }) => name);
  if (!names.includes('encrypt')) {
    report(
      'warning',
      'stack.encrypt',
      'No layer encrypts: items are stored in clear, and a writer of the database can change them.',
      'Add encrypt({ keys }) as the last layer.',
    );
  } else if ((await acceptsPlaintext(store)) === true) {
    report(
      'warning',
      'stack.plaintext',
      'encrypt() accepts plain items (unsafeAllowPlaintext): a writer of the database can insert messages.',
      'Run strongroom migrate, and remove the option.',
    );
  }
  if (!names.includes('expire') && !hasRetention) {
    report(
      'note',
      'stack.expire',
      'Nothing limits how long items are kept.',
      "Add expire({ after: '30d' }) and retention, if a rule applies to you.",
    );
  } else if (names.includes('expire') && !hasRetention) {
    report(
      'warning',
      'retention.none',
      'expire() hides old items, and no rule deletes them.',
      'Add retention: { expired: true } to the configuration, and run strongroom purge each day.',
    );
  }
  const audit = names.indexOf('audit');
  const authorize = names.indexOf('authorize');
  if (audit > authorize && authorize >= 0) {
    report(
      'warning',
      'stack.order',
      'audit() is below authorize(), so refused calls are not in the audit log.',
      'Put audit() above authorize().',
    );
  }
}

async function acceptsPlaintext(store: Store): Promise<boolean | undefined> {
  // Any session will do; nothing is stored before the first write.
  const { sealer, scope } = await keyAccess('checkKeys', store.session('strongroom-doctor'));
  return sealer.acceptsPlaintext(scope);
}
